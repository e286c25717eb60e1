// From pixels to patch rows, so that a tower's patch convolution (kernel = stride) is one matrix product.
#pragma once

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// pixels [B·3, H, W] -> rows [B·⌊H/p⌋·⌊W/p⌋, 3·p·p], patches row-major, inside a patch channel, then y, then x: the order of a flattened
// convolution weight [Dv, 3, p, p]. Pixels past the last whole patch are dropped, as by the convolution.
void PatchRows(Exec& ex, const TensorView& pixels, int64_t patch, const TensorView& rows);

}  // namespace binocle
