// The hidden states of a prompt as two sink detectors see them: massive dimensions (llm/sinks.h) and the cosine to the first token.
//
// The second detector is that of "On the Existence and Behaviour of Secondary Attention Sinks": |cos(h_p, h_first)| on a layer's input,
// by which tokens that took on the first token's direction are found without knowing any dimension.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "llm/layer_input_observer.h"
#include "llm/sinks.h"

namespace binocle {

// The hidden states of a sequence's first token, per layer.
class FirstTokenStates : public LayerInputObserver {
 public:
  FirstTokenStates(int64_t layers, int64_t width);

  void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) override;
  std::span<const float> state(int64_t layer) const;

 private:
  Tensor states_;  // [L, D]
};

class SinkRecorder : public LayerInputObserver {
 public:
  struct Token {
    SinkScore score;
    double cosine = 0;
  };

  // `first` holds the first token's states before they are needed, or sees them here when they come first. `dims` may be empty.
  SinkRecorder(int64_t layers, int64_t prompt_tokens, SinkDims dims, FirstTokenStates& first);

  void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) override;

  // [prompt]
  std::span<const Token> tokens(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }

 private:
  SinkDims dims_;
  FirstTokenStates& first_;
  std::vector<std::vector<Token>> layers_;  // [L][prompt]
};

}  // namespace binocle
