// The tensors of a model directory.
#pragma once

#include <filesystem>

#include "core/weights.h"

namespace binocle {

// A directory: the shards that model.safetensors.index.json names, or model.safetensors. A file: that file.
TensorSet ReadTensors(const std::filesystem::path& path);

}  // namespace binocle
