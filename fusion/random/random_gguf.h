// What a GGUF file says of a random text model.
#pragma once

#include "core/gguf_writer.h"
#include "fusion/model_config.h"
#include "fusion/random/presets.h"

namespace binocle {

// `matrices`: the type of all tensors that are no gains and biases, which are f32.
GgufEntries GgufEntriesOf(const ModelPreset& preset, const LlamaConfig& text, DType matrices);

}  // namespace binocle
