// An image's keys and values in every layer, independent of prompt and position.
//
// In composite layers a visual token issues no query, so what a layer makes of it depends on its image alone. Keys are kept before
// the rotary embedding and rotated when the image is put into a sequence.
#pragma once

#include <memory>
#include <vector>

#include "attention/place_kv.h"
#include "core/tensor.h"
#include "llm/sinks.h"

namespace binocle {

class ImageOfOthers;  // llm/decoder_leader.h

struct ImageKv {
  Tensor memory;               // of all layers, in one piece
  std::vector<KeptKv> layers;  // [L]
  Tensor last;                 // [1, D] the last token after all layers
  SinkDims sink_dims;          // that `sinks` were scored with
  Tensor sinks;  // [L, 2n] scores of the rows that enter each layer; empty without sink_dims
  // Of a model that several processes compute: what the others have of it, of their own kv heads, as long as anybody holds this.
  std::shared_ptr<const ImageOfOthers> others;

  // [n, 2]
  TensorView SinksOf(int64_t layer) const {
    return sinks.view().Rows(layer, layer + 1).Reshape({tokens(), 2});
  }
  int64_t tokens() const { return layers.empty() ? 0 : layers.front().tokens(); }
  int64_t bytes() const { return memory.bytes() + last.bytes() + sinks.bytes(); }
};

}  // namespace binocle
