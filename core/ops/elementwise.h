// Small ops that move or add rows, f32.
#pragma once

#include <cstdint>
#include <span>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// x[t] += y[t mod rows(y)] for every row t: residuals (rows(y) = T) and position embeddings repeated over images.
// x [T, D], y [P, D] with P dividing T.
void AddRows(Exec& ex, const TensorView& x, const TensorView& y);

// x[t] += gamma ⊙ y[t], the layer scale of DINOv2. x, y [T, D], gamma [D].
void AddScaledRows(Exec& ex, const TensorView& x, const TensorView& gamma, const TensorView& y);

// x *= factor, in place. x [T, D], rows may be strided.
void ScaleRows(Exec& ex, const TensorView& x, float factor);

// out[t] = rows of a stored table of real numbers (core/convert.h) [V, D]; ids in [0, V). out [T, D].
void EmbeddingRows(const TensorView& table, std::span<const int32_t> ids, const TensorView& out);

// Same shape, any strides. from and to do not overlap.
void CopyRows(const TensorView& from, const TensorView& to);

}  // namespace binocle
