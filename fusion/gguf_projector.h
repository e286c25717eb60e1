// The companion of a GGUF text model: a tower and a projector in one file, as llama.cpp's converters write it ("mmproj").
#pragma once

#include <memory>

#include "core/gguf.h"
#include "core/weights.h"
#include "fusion/model_config.h"

namespace binocle {

// A CLIP tower, or SigLIP's where the file has no class token, whose last layer in the file is the one that is read (normed where the file
// has a final norm), and the two-layer projector to `text_width`. Pictures are padded to a square on the mean colour before they are
// resized, as by LLaVA. UNIMPLEMENTED for other projectors, tiles and features of several layers; INVALID_ARGUMENT for what is missing or
// contradicts itself. `config` gets anchor, fusion and projector.
void ReadGgufProjector(const GgufFile& file, int64_t text_width, ModelConfig& config);

// Its tensors under docs/model_format.md's names ("anchor.", "projector."); others keep theirs.
void AddGgufProjectorTensors(const std::shared_ptr<const GgufFile>& file, TensorSet& set);

}  // namespace binocle
