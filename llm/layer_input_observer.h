// Who wants to see the hidden states that enter each layer: calibration, explanations. Where nobody does it costs one null check per
// layer.
#pragma once

#include <cstdint>

#include "core/exec.h"
#include "core/ops/elementwise.h"
#include "core/tensor.h"

namespace binocle {

class LayerInputObserver {
 public:
  virtual ~LayerInputObserver() = default;
  // x [n, D] is about to enter `layer`: the tokens at positions [first_position, +n) of the sequence. Every position enters every
  // layer once, in pieces and in any order; x is valid during the call. What is written to x goes into the layer instead.
  virtual void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) = 0;
};

// Shows it rows of a layer's input, wherever they are.
inline void ShowInput(Exec& ex, LayerInputObserver& observer, int64_t layer, int64_t first_position,
                      const TensorView& x) {
  Tensor copy;
  observer.LayerInput(layer, first_position, OnHost(ex, x, copy));
  if (!copy.empty()) CopyRows(ex, copy, x);
}

}  // namespace binocle
