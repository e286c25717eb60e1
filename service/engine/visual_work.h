// How much arithmetic a prompt's visual rows are, from shapes alone.
#pragma once

#include <cstdint>

#include "fusion/prompt.h"
#include "llm/llama_decoder.h"

namespace binocle {

// Multiply-adds of all visual rows of `prompt` on their way through the layers, a picture computed once. Per row and layer, with D width,
// H heads and K of keys of width d, F ffn width:
//   stock      D·Hd + 2D·Kd + Hd·D + 3D·F, and 2·Hd for each key that the row sees
//   composite  2D·Kd; with vo, Hd·D more; with vo_ffn, Hd·D + 3D·F more
int64_t VisualMultiplyAdds(const LlamaConfig& config, const LayerPlan& plan,
                           const ExpandedPrompt& prompt);

}  // namespace binocle
