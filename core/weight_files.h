// The tensors of a model directory or file.
#pragma once

#include <filesystem>
#include <memory>

#include "core/gguf.h"
#include "core/weights.h"

namespace binocle {

// A directory: the shards that model.safetensors.index.json names, or model.safetensors. A file: that file, which is GGUF where its name
// ends in .gguf (the first part of a split one stands for all) and safetensors otherwise.
TensorSet ReadTensors(const std::filesystem::path& path);

// All tensors of a GGUF file, which the set keeps open. Throws INVALID_ARGUMENT when the set has one of their names.
void AddGgufTensors(const std::shared_ptr<const GgufFile>& file, TensorSet& set);

}  // namespace binocle
