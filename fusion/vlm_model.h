// A whole model: towers, fusion, projector, tokenizer, decoder.
//
//   image ─ processors ─ A = anchor(pixels_a), B = augment(pixels_b) ─ fused = fuse(A, B) ─ V = project(fused)   [n, D]
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/exec.h"
#include "core/weights.h"
#include "fusion/fusion.h"
#include "fusion/model_config.h"
#include "llm/llama_decoder.h"
#include "llm/tokenizer.h"
#include "vision/encoder.h"
#include "vision/image.h"
#include "vision/token_sets.h"

namespace binocle {

// Where the time of Encode went, in milliseconds.
struct VisionTimings {
  double anchor = 0;
  double augment = 0;
  double fusion = 0;  // with the projector
};

// What the processors make of a picture, for each tower; empty where there is none.
struct ModelPixels {
  PicturePlan plan;
  Tensor anchor;   // [views·3, H_a, W_a], normalised; the overview first
  Tensor augment;  // [3, H_b, W_b]

  bool empty() const { return anchor.empty() && augment.empty(); }
  int64_t bytes() const { return anchor.bytes() + augment.bytes(); }
  ModelPixels Clone() const { return {plan, anchor.Clone(), augment.Clone()}; }
};

// What each stage produced, for parity checks. Absent stages stay empty.
struct VisionStages {
  Tensor anchor, augment;  // [views·n_a, d_a], [n_b, d_b]
  Tensor fused;            // [views·n, ·]
};

// What the weights and buffers of a model take, known before anything is loaded.
struct ModelPlan {
  std::map<std::string, WeightPlan>
      weights;  // per part: "anchor", "augment", "fusion", "projector", "language_model"
  std::map<std::string, int64_t> activations;  // bytes, per part
};

// What becomes of a directory without a tokenizer. Ids alone can be put to such a model.
enum class MissingTokenizer : uint8_t { kRefused, kAllowed };

// A model directory or GGUF file, read and checked, with no weights loaded: the configuration fits the tensors and the tokenizer.
class CheckedModel {
 public:
  CheckedModel(const std::filesystem::path& path, const ModelOverrides& overrides,
               MissingTokenizer missing = MissingTokenizer::kRefused);

  const std::filesystem::path& directory() const { return directory_; }
  const ModelConfig& config() const { return config_; }
  const TensorSet& tensors() const { return tensors_; }
  const ModelPlan& plan() const { return plan_; }
  // The kind of the language model's layers where the files have matrices packed (binocle quantize): "int8"; "f32" where only others are.
  const std::optional<std::string>& packed() const { return packed_; }

 private:
  friend class VlmModel;
  friend ModelMatrices ListModelMatrices(const CheckedModel& model);

  void Check();
  // Of which kinds the matrices of layers are. Pages of what multiplies with fewer bits are bf16.
  void ChooseKvTypes();
  // How many views of a picture go through the anchor together.
  void ChooseBatch();

  std::filesystem::path directory_;  // or the file
  ModelConfig config_;
  TensorSet tensors_;
  NameMap names_;
  KindsByName kinds_;
  ModelPlan plan_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<std::string> packed_;
};

// The matrices of kinds other than kF32, as the overrides of `model` ask for them.
ModelMatrices ListModelMatrices(const CheckedModel& model);

// Everything that a directory of this configuration should hold, under `names`: also layers and norms of towers that are not used.
std::vector<NeededWeight> ListModelWeights(ModelConfig config, const NameMap& names);

class VlmModel {
 public:
  // `max_positions` bounds prompt and answer, at most the model's own limit.
  VlmModel(Exec& ex, CheckedModel checked, int64_t max_positions);

  const ModelConfig& config() const { return checked_.config_; }
  bool has_tokenizer() const { return checked_.tokenizer_ != nullptr; }
  const Tokenizer& tokenizer() const { return *checked_.tokenizer_; }  // needs has_tokenizer()
  const LlamaDecoder& decoder() const { return *decoder_; }
  // LlamaDecoder::Lead.
  void Lead(DecoderLeader* leader) { decoder_->Lead(leader); }
  bool IsEndToken(int32_t id) const;

  // Where the leading tower's patches are among a picture's visual tokens: those of the overview.
  PatchPlaces patch_places() const;

  // What the processors make of it, in eight bits; the overview first.
  std::vector<Image> AnchorViews(const Image& image, const PicturePlan& plan) const;
  ModelPixels Pixels(const Image& image, Company company) const;
  // pixels -> the picture's visual tokens, [plan.tokens, D]. What is null is not wanted.
  struct EncodeTaps {
    VisionTimings* timings = nullptr;
    VisionStages* stages = nullptr;
    PatchAttention* attention = nullptr;  // of the leading tower, on the overview
  };
  void Encode(Exec& ex, const ModelPixels& pixels, const TensorView& visual,
              const EncodeTaps& taps);

  // The last steps of Encode by themselves: stages.anchor, augment -> stages.fused; fused -> visual.
  void Fuse(Exec& ex, const VisionStages& stages);
  void Project(Exec& ex, const TensorView& fused, const PicturePlan& plan,
               const TensorView& visual);

  // What the leading tower makes of the whole picture, [1, Dv]. Needs a model that takes pictures, and leading_tower().Has(output).
  Tensor ClassToken(Exec& ex, const ModelPixels& pixels, ClassOutput output);
  const VisionEncoder& leading_tower() const {
    return parts_.anchor ? *parts_.anchor : *parts_.augment;
  }

  // The parts that hold weights. Empty while binding is only checked.
  struct Parts {
    std::unique_ptr<VisionEncoder> anchor, augment;  // nullptr where the fusion does not use it
    std::unique_ptr<Fusion> fusion;                  // nullptr in a text model
    Tensor newline;                                  // [D], of tiles
    LlamaWeights text;
  };

 private:
  CheckedModel checked_;  // keeps the files mapped: the embedding table is read in place
  Parts parts_;
  std::unique_ptr<LlamaDecoder> decoder_;
  Tensor anchor_features_, augment_features_, fused_;
};

}  // namespace binocle
