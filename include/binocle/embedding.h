// Vectors of pictures and texts.
//
//   const binocle::Embedding picture = engine.EmbedImage(binocle::ImageInput::FromFile("scene.png"), {.normalize = true});
//   const binocle::Embedding text = engine.EmbedText("a red square", {.normalize = true});
//
// Both come from inside the model as it is: nothing trained them to be compared, least of all a picture's with a text's.
#pragma once

#include <cstdint>
#include <vector>

namespace binocle {

// Which vectors, and how many become one. D is the width of the language model, Dv that of the leading tower: the anchor, or the
// augmenting tower in a model without one.
enum class Pooling : uint8_t {
  kMean,  // [1, D] the mean of kTokens
  kClassToken,  // [1, Dv] pictures: the leading tower's class token, transformers' last_hidden_state[:, 0]
  kPooled,  // pictures: [1, Dv] the leading tower's pooler_output; texts: [1, D] the last row of kTokens
  // pictures: [n, D] the visual tokens, after fusion and projector; texts: [T, D] the language model's states after its final norm
  kTokens,
};

struct EmbeddingOptions {
  Pooling pooling = Pooling::kMean;
  bool normalize = false;  // rows are scaled to length 1; a row of zeros stays
};

struct Embedding {
  int64_t rows = 0;           // 1, or as many as there are tokens
  int64_t width = 0;          // D or Dv
  std::vector<float> values;  // [rows, width] row-major
  int64_t tokens = 0;         // of the input: visual tokens of a picture, tokens of a text
};

}  // namespace binocle
