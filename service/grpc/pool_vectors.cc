#include <cmath>
#include <span>

#include "binocle/error.h"
#include "service/grpc/engine_backend.h"

namespace binocle {
namespace {

void Normalize(std::span<float> row) {
  double squares = 0;
  for (const float x : row) squares += static_cast<double>(x) * x;
  if (squares == 0) return;
  const double scale = 1 / std::sqrt(squares);
  for (float& x : row) x = static_cast<float>(x * scale);
}

// mean[c] = Σ_r tokens[r, c] / n
Vectors MeanOf(const Embedding& tokens) {
  std::vector<double> sums(static_cast<size_t>(tokens.width));
  for (size_t i = 0; i < tokens.values.size(); ++i) sums[i % sums.size()] += tokens.values[i];
  Vectors mean{.rows = 1, .width = tokens.width, .values = {}};
  for (const double sum : sums)
    mean.values.push_back(static_cast<float>(sum / static_cast<double>(tokens.tokens)));
  return mean;
}

}  // namespace

Vectors PoolVisualTokens(const Embedding& tokens, Pooling pooling, bool normalize) {
  if (pooling == Pooling::kClassToken || pooling == Pooling::kPooled) {
    throw Error(Code::kUnimplemented,
                "pooling is one that visual tokens do not give, expected mean or tokens",
                "pooling");
  }
  Vectors vectors =
      pooling == Pooling::kMean
          ? MeanOf(tokens)
          : Vectors{.rows = tokens.tokens, .width = tokens.width, .values = tokens.values};
  const auto width = static_cast<size_t>(vectors.width);
  for (size_t row = 0; normalize && row < static_cast<size_t>(vectors.rows); ++row)
    Normalize(std::span(vectors.values).subspan(row * width, width));
  return vectors;
}

}  // namespace binocle
