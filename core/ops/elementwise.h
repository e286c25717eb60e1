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

// out = a·x + b·y, each [T, D], rows may be strided.
void MixRows(Exec& ex, float a, const TensorView& x, float b, const TensorView& y,
             const TensorView& out);

// out[t] = rows of a stored table of real numbers (core/convert.h) [V, D]; ids in [0, V). out [T, D]. On a GPU the table is f32 or bf16.
void EmbeddingRows(Exec& ex, const TensorView& table, std::span<const int32_t> ids,
                   const TensorView& out);

// Same shape, any strides. from and to do not overlap. From a GPU to the host it waits until they are there.
void CopyRows(Exec& ex, const TensorView& from, const TensorView& to);
// Of the host's.
void CopyRows(const TensorView& from, const TensorView& to);

// The tensor itself on the host, or a copy where `ex` has its tensors.
Tensor ToPlace(Exec& ex, Tensor tensor);
// A copy on the host of rows [T, D], wherever they are.
Tensor ToHost(Exec& ex, const TensorView& rows);
// Rows that the host may read, or that are where `ex` has its tensors: themselves, or `copy`.
TensorView OnHost(Exec& ex, const TensorView& rows, Tensor& copy);
TensorView AtPlace(Exec& ex, const TensorView& rows, Tensor& copy);
// A copy, where the rows are.
Tensor CopyOf(Exec& ex, const TensorView& rows);

}  // namespace binocle
