// Bilinear resampling of feature grids, as torch interpolate(mode="bilinear", align_corners=False, antialias=False).
#pragma once

#include "core/exec.h"
#include "core/tensor.h"
#include "vision/encoder.h"

namespace binocle {

// from [in.h·in.w, d] -> to [out.h·out.w, d], rows row-major positions of the grids. Half-pixel centres, edges clamped.
void ResampleBilinear(Exec& ex, const TensorView& from, PatchGrid in, PatchGrid out,
                      const TensorView& to);

}  // namespace binocle
