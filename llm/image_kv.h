// An image's keys and values in every layer, independent of prompt and position.
//
// In composite layers a visual token issues no query, so what a layer makes of it depends on its image alone. Keys are kept before
// the rotary embedding and rotated when the image is put into a sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "attention/kv_pages.h"
#include "core/exec.h"
#include "core/ops/rope.h"
#include "core/tensor.h"
#include "llm/sinks.h"

namespace binocle {

struct ImageKv {
  std::vector<Tensor> keys;                   // [L] of [K·d, n], not rotated
  std::vector<Tensor> values;                 // [L] of [n, K·d]
  Tensor last;                                // [1, D] the last token after all layers
  SinkDims sink_dims;                         // that `sinks` were scored with
  std::vector<std::vector<SinkScore>> sinks;  // [L][n]; empty without sink_dims

  int64_t tokens() const { return keys.empty() ? 0 : keys.front().dim(1); }
  int64_t bytes() const;
};

// Rows of one layer, k and v [rows, K·d], become tokens [first, first + rows) of the image.
void StoreImageRows(const TensorView& k, const TensorView& v, int64_t layer, int64_t first,
                    ImageKv& image);

// Puts an image into a sequence at positions [first_position, +n): keys rotated, values as they are. Keys lie token after token both
// here and in their pages, so this reads and writes every number once, in order. `rope` is RopeTable::ByFrequency of the decoder's.
void PlaceImageKv(Exec& ex, const ImageKv& image, const RopeTable& rope, int64_t first_position,
                  KvPool& pool, const KvSequence& sequence);

}  // namespace binocle
