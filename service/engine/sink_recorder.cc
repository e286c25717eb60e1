#include "service/engine/sink_recorder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace binocle {

FirstTokenStates::FirstTokenStates(int64_t layers, int64_t width)
    : states_(Tensor::F32({layers, width}, "first token")) {}

void FirstTokenStates::LayerInput(int64_t layer, int64_t first_position, const TensorView& x) {
  if (first_position == 0) std::copy_n(x.row(0), x.dim(1), states_.row(layer));
}

std::span<const float> FirstTokenStates::state(int64_t layer) const {
  return {states_.row(layer), static_cast<size_t>(states_.dim(1))};
}

SinkRecorder::SinkRecorder(int64_t layers, int64_t prompt_tokens, SinkDims dims,
                           FirstTokenStates& first)
    : dims_(std::move(dims)),
      first_(first),
      layers_(static_cast<size_t>(layers), std::vector<Token>(static_cast<size_t>(prompt_tokens))) {
}

void SinkRecorder::LayerInput(int64_t layer, int64_t first_position, const TensorView& x) {
  first_.LayerInput(layer, first_position, x);
  const std::span<const float> first = first_.state(layer);
  double first_squares = 0;
  for (const float v : first) first_squares += static_cast<double>(v) * v;
  std::vector<Token>& tokens = layers_[static_cast<size_t>(layer)];
  const int64_t rows = std::min(x.dim(0), std::ssize(tokens) - first_position);
  for (int64_t t = 0; t < rows; ++t) {
    const float* row = x.row(t);
    double squares = 0, product = 0;
    for (size_t i = 0; i < first.size(); ++i) {
      squares += static_cast<double>(row[i]) * row[i];
      product += static_cast<double>(row[i]) * first[i];
    }
    Token& token = tokens[static_cast<size_t>(first_position + t)];
    token.score.mean_square = static_cast<float>(squares / static_cast<double>(first.size()));
    for (const int32_t d : dims_) token.score.peak = std::max(token.score.peak, std::abs(row[d]));
    const double lengths = std::sqrt(squares) * std::sqrt(first_squares);
    token.cosine = lengths > 0 ? product / lengths : 0;
  }
}

}  // namespace binocle
