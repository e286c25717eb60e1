// Vectors of pictures and texts.
#pragma once

#include <cstdint>
#include <vector>

namespace binocle {

// How the vectors of a picture's or text's tokens become one.
enum class Pooling : uint8_t { kMean, kClassToken, kPooled, kTokens };

struct EmbeddingOptions {
  Pooling pooling = Pooling::kMean;
  bool normalize = false;  // rows to length 1; a row of zeros stays
};

struct Embedding {
  int64_t rows = 0;
  int64_t width = 0;
  std::vector<float> values;  // [rows, width] row-major
  int64_t tokens = 0;         // of the input
};

}  // namespace binocle
