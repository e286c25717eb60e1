// Attention sinks, found by their massive activations.
//
//   φ(x) = max over d in D_sink of |x[d]| / sqrt(mean(x²))
//
// A token is a sink of a layer when φ of the hidden state that enters the layer reaches τ. The two numbers below are enough for
// every form of the test (docs/interventions.md).
#pragma once

#include <cstdint>
#include <vector>

#include "core/exec.h"
#include "core/tensor.h"
#include "llm/llama_config.h"

namespace binocle {

using SinkDims = std::vector<int32_t>;  // D_sink; empty: no token is a sink

struct SinkScore {
  float peak = 0;         // max over d in D_sink of |x[d]|
  float mean_square = 0;  // mean(x²)

  float phi() const;
  // As released: the mean square is raised by 1e-6.
  float released_phi() const;
};

// scores [T, 2] ← peak and mean square of the rows of x [T, D]. Where x is.
void ScoreSinks(Exec& ex, const TensorView& x, const SinkDims& dims, const TensorView& scores);
// Of a row, on the host.
inline SinkScore ScoreAt(const TensorView& scores, int64_t row) {
  return {.peak = scores.row(row)[0], .mean_square = scores.row(row)[1]};
}

// D_sink of the public language model that has this configuration, empty where none is known.
SinkDims KnownSinkDims(const LlamaConfig& config);

}  // namespace binocle
