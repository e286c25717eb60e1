// How pictures and text attend to each other in a model's layers. Exact meaning: docs/model_format.md, composite_attention.
#pragma once

#include <cstdint>
#include <optional>

#include "binocle/layer_ranges.h"

namespace binocle {

enum class AttentionKind : uint8_t {
  kStock,      // every token attends to all before it
  kComposite,  // text attends to visual and earlier text tokens; visual tokens ask nothing and go through the aligner
};

// What a visual token goes through from one composite layer to the next.
enum class Aligner : uint8_t {
  kNone,   // x' = x
  kVo,     // x' = x + Wo·Wv·N₁(x)
  kVoFfn,  // x' as kVo, x'' = x' + FFN(N₂(x'))
};

// Attention of one request, where it differs from what the model was loaded with. Gives the tokens of an engine that was loaded with the
// options of the same names.
struct AttentionOptions {
  // kStock: no layer is composite. kComposite: those that the model was loaded with are, or all where it has none. Absent: as loaded.
  std::optional<AttentionKind> kind;
  std::optional<LayerRanges>
      composite_layers;  // these and no others, within the model's; not with kStock
  std::optional<Aligner>
      aligner;  // absent: as loaded, vo_ffn unless the model names one; not where no layer is composite
};

}  // namespace binocle
