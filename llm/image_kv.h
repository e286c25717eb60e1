// An image's keys and values in every layer, independent of prompt and position.
//
// In composite layers a visual token issues no query, so what a layer makes of it depends on its image alone. Keys are kept before
// the rotary embedding and rotated when the image is put into a sequence.
#pragma once

#include <vector>

#include "core/tensor.h"
#include "llm/sinks.h"

namespace binocle {

struct ImageKv {
  std::vector<Tensor> keys;                   // [L] of [n, K·d], not rotated
  std::vector<Tensor> values;                 // [L] of [n, K·d]
  Tensor last;                                // [1, D] the last token after all layers
  SinkDims sink_dims;                         // that `sinks` were scored with
  std::vector<std::vector<SinkScore>> sinks;  // [L][n]; empty without sink_dims

  int64_t tokens() const { return keys.empty() ? 0 : keys.front().dim(0); }
  int64_t bytes() const;
};

}  // namespace binocle
