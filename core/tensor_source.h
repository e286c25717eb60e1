// Where the bytes of tensors come from while a file of them is written: piece by piece, so that no file has to fit memory.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace binocle {

struct NewTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t bytes() const { return StoredBytes(dtype, shape.elements()); }
};

// Hands over all bytes of a tensor in order, in as many calls of `write` as it likes. What it throws ends the writing.
using TensorSource = std::function<void(const NewTensor& tensor,
                                        const std::function<void(std::string_view)>& write)>;

}  // namespace binocle
