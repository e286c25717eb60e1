// What an answer looked at: maps over the pictures, sinks, heads, and how far the maps can be believed (docs/explain.md).
//
//   binocle::Engine engine = binocle::Engine::Load("models/binocle-tiny", {});
//   const binocle::Explanation e = engine.Explain(
//       binocle::Ask("Where is the key?", {binocle::ImageInput::FromFile("home.png")}), {});
//   for (const binocle::ExplainedWord& word : e.words)
//     std::ofstream(word.text + ".png") << binocle::RenderOverlay(e, word.map, 0);
//
// Attention is no explanation by itself. A map says where the weights lay, after the interventions of the request; whether the answer
// depends on these places is what Faithfulness measures.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "binocle/engine.h"
#include "binocle/export.h"
#include "binocle/interventions.h"
#include "binocle/request.h"

namespace binocle {

// Measures how the answer suffers when parts of a picture are covered. Takes up to blocks + 6·curve_points runs of towers, prompt
// and answer for each picture, and 2·curve_points more for each word with word_curves; what was scored once is remembered.
struct FaithfulnessOptions {
  int64_t blocks = 64;        // 4 … 1024: at most so many square blocks of patches a picture
  int64_t curve_points = 16;  // 2 … 1024: steps of a deletion curve, at most one a block
  bool word_curves = false;   // a deletion curve for every word too
  uint64_t seed = 0;          // of the random orders
  // Called after each score, remembered or not, with how many are there, of how many; may be empty.
  std::function<void(int64_t, int64_t)> on_run;
};

struct ExplainOptions {
  std::optional<Layers> layers;  // maps are means over these; absent: all
  std::vector<int64_t> heads;    // and over these heads of each; empty: all
  // 0 … 1: a token whose hidden state has at least this |cosine| to the first token's is a sink of the second detector.
  double cosine = 0.9;
  std::optional<FaithfulnessOptions> faithfulness;  // absent: not measured
};

// What Explain throws for ranges that no model changes: INVALID_ARGUMENT, and Error::option() names the option.
BINOCLE_EXPORT void CheckOptions(const ExplainOptions& options);

// Where some rows looked: means over the rows that gave the tokens, the chosen layers and heads, of the softmax weights that made the
// output (the request's interventions included).
struct AttentionMap {
  // Per picture, per patch of the leading tower, row-major [rows·cols]; 0 … 1. Empty where no row with a query gave a token.
  std::vector<std::vector<float>> patches;
  // Weight on all visual tokens, 0 … 1. More than the sum of `patches` where a picture has other visual tokens beside the leading
  // tower's patches: a class token, or the other tower's tokens under token_concat and interleave.
  double visual_mass = 0;

  bool empty() const { return patches.empty(); }
};

// What an order of covering a picture costs the answer. Probabilities, not their logarithms, whose differences among answers that are
// lost already would outweigh the loss itself.
struct DeletionCurve {
  std::vector<double> share;        // of the blocks that are covered, 0 first, 1 last
  std::vector<double> probability;  // of the tokens, their mean, 0 … 1
  double area = 0;                  // under the curve, shares as the axis: its mean height
};

// How well a map tells which parts of one picture the answer depends on.
struct Faithfulness {
  // Per block, between the map's weight on it and the drop of the log-probability when it alone is covered; −1 … 1.
  std::optional<double> pearson,
      spearman;  // absent where one of the two is the same for all blocks
  // Blocks covered in descending order of the map's weight; of the drops (what a map that knew them would get); and at random, the
  // mean of four orders. Absent for words unless asked for.
  struct Curves {
    DeletionCurve by_map, by_drop, random;
    // (random − by_map) / (random − by_drop) in area: 0 no better than chance, 1 as good as the drops, below 0 worse than chance.
    // Absent where the drops themselves are no better than chance.
    std::optional<double> advantage;
  };
  std::optional<Curves> curves;
};

// A word of the answer: what white space parts (and every ideograph and kana), without punctuation around it.
struct ExplainedWord {
  std::string text;
  int64_t begin = 0, end = 0;  // bytes in the answer
  int64_t first_token = 0,
          end_token = 0;  // [first, end) of the answer's tokens; neighbours may share one
  AttentionMap map;
  double grounding = 0;                    // mean over its tokens
  std::vector<Faithfulness> faithfulness;  // per picture; empty unless asked for
};

struct ExplainedToken {
  int32_t id = 0;
  std::string text;        // what it adds to the answer; empty for special tokens
  double visual_mass = 0;  // as in AttentionMap
  double grounding = 0;    // as in Answer
};

// A token of the prompt that a detector takes for a sink in some layer.
struct ExplainedSink {
  int64_t position = 0;  // in the prompt
  std::string text;      // as the vocabulary spells it; empty for visual tokens
  int64_t image = -1;    // index of the picture; −1 for text
  int64_t row = -1;      // of the patch; −1 for text and visual tokens that are no patch
  int64_t col = -1;
  std::optional<double>
      phi;  // max over the sink dimensions of |x[d]| / RMS(x); absent where none are known
  double cosine = 0;  // of its hidden state to that of the first token
  std::optional<double>
      mass;  // weight that the prompt's last row gives it, mean over all heads; absent where that row has no query
  bool massive = false;  // found by phi: what interventions go by
  bool aligned = false;  // found by cosine
};

struct SinkLayer {
  int64_t layer = 0;
  std::vector<ExplainedSink> sinks;  // found by either detector, ascending
  // Length of the first token's hidden state over the median of the prompt's. Cosines tell something where it is well above 1: there
  // the first token is a sink itself.
  double first_token_norm = 0;
  // Of the tokens after the first, those found by both detectors over those found by either. Absent where there are none.
  std::optional<double> agreement;
};

struct SinkReport {
  std::vector<int64_t>
      dims;  // of the first detector; empty: none are known of this model, and nothing is massive
  double tau = 0;                 // its threshold
  double cosine = 0;              // threshold of the second
  std::vector<SinkLayer> layers;  // all L
};

// One head over the rows that gave the answer's tokens, before any intervention on weights.
struct HeadStatistics {
  double visual_mass = 0;  // mean weight on visual tokens
  std::optional<double>
      non_sink_ratio;          // share of it outside massive sinks; absent where there is none
  bool image_centric = false;  // visual_mass ≥ mass and non_sink_ratio ≥ rho
};

struct HeadReport {
  int64_t layers = 0, heads = 0;
  double mass = 0, rho = 0;  // VAR's where the request has it (compat paper), else its defaults
  std::vector<HeadStatistics> statistics;  // [L·H]
};

// A picture as the leading tower's patches cover it, red, green, blue, row-major.
struct SeenPicture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;
};

struct Explanation {
  Response response;              // one answer, with Answer::grounding
  Layers layers;                  // of the maps
  std::vector<int64_t> heads;     // of the maps
  int64_t rows = 0, cols = 0;     // of a map
  std::vector<SeenPicture> seen;  // per picture
  std::vector<ExplainedToken> tokens;
  std::vector<ExplainedWord> words;
  AttentionMap
      map;  // of the whole answer: mean over the tokens of its words, or over all when there are none
  std::vector<Faithfulness> faithfulness;  // of that map, per picture; empty unless asked for
  int64_t block = 0;  // side of the covered blocks, in patches; 0 unless asked for
  SinkReport sinks;
  HeadReport head_report;
};

struct OverlayOptions {
  int64_t side = 336;  // 16 … 4096: the shorter side has at least so many pixels
  double peak = 0;     // 0 … 1: the weight that gets the brightest colour; 0: the map's largest
};

// Throws INVALID_ARGUMENT for options out of range; Error::option() names which.
BINOCLE_EXPORT void CheckOverlay(const OverlayOptions& options);

// PNG: a picture of the explanation, enlarged, with a map of it on top; brighter is more weight. INVALID_ARGUMENT for a picture or a
// map that is not there; UNIMPLEMENTED in a build without OpenCV.
BINOCLE_EXPORT std::string RenderOverlay(const Explanation& explanation, const AttentionMap& map,
                                         int64_t image, const OverlayOptions& options = {});

}  // namespace binocle
