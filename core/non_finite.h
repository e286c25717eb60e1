// NaN and infinity in what a checkpoint holds.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace binocle {

// The first element that is NaN or infinite, −1 when there is none. Elements are real numbers (IsReal), one after the other.
int64_t FirstNonFinite(const TensorView& stored);

}  // namespace binocle
