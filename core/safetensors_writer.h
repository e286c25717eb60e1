// Writing safetensors files, which core/safetensors.h reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/tensor_source.h"

namespace binocle {

// Writes the tensors to `directory`: model.safetensors, or, where they are more than `shard_bytes`, model-00001-of-0000N.safetensors, …
// with model.safetensors.index.json. A shard has the tensors in the order given until the next would not fit; one that is larger than a
// shard has one of its own. In a file, bytes in multiples of 64 come first and then wider types, so that
// the former begin at multiples of 64 of the file and every element is aligned. Returns the files' names. Types are
// those that are not of blocks (checked). Each file is there whole or not at all; those before an error stay, in a folder of the caller.
std::vector<std::string> WriteSafetensors(const std::filesystem::path& directory,
                                          const std::vector<NewTensor>& tensors,
                                          int64_t shard_bytes, const TensorSource& source);

}  // namespace binocle
