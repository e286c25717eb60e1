// Resampling a grid of position embeddings to another grid, once at load, with PyTorch's bicubic arithmetic.
#pragma once

#include "core/tensor.h"
#include "vision/encoder.h"

namespace binocle {

enum class Antialias : uint8_t { kOff, kOn };

// grid [h·w, D] (row-major positions) -> [out.h·out.w, D].
// kOff: torch interpolate(mode="bicubic", align_corners=False): 4 taps, a = −0.75, edges clamped.
// kOn: the same with antialias=True: a = −0.5, the support grows with the reduction, weights renormalised at the edges.
Tensor ResampleBicubic(const TensorView& grid, PatchGrid in, PatchGrid out, Antialias antialias);

}  // namespace binocle
