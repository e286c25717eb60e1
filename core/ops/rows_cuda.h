// Ops over rows on a GPU: norms, rotary embedding, activations, sums, embeddings. Each is its CPU op's definition (norm.h, rope.h, activation.h,
// elementwise.h); what is said here is shapes and types. Host code; no header of CUDA's.
//
// Residual streams are f32; what goes into a matrix product is written as f32 or as bf16, whichever that product reads. All rows are contiguous unless a
// stride is given. Sums are f32.
#pragma once

#include <cstdint>

#include "core/backend/cuda/stream.h"
#include "core/convert.h"
#include "core/ops/activation.h"

namespace binocle::cuda {

// x [T, D] → out [T, D], which may be x where both are f32. bias null: RmsNorm; else LayerNorm.
struct NormWork {
  const float* x;
  const float* weight;  // [D]
  const float* bias;    // [D] or null
  float epsilon;
  int32_t rows;   // T
  int32_t width;  // D
};
void Norm(const NormWork& work, float* out, Stream stream);
void Norm(const NormWork& work, Bf16* out, Stream stream);

// x [T, heads·d] with its stride, in place or to bf16. cos, sin [positions, d/2].
struct RopeWork {
  const float* cos;
  const float* sin;
  const int32_t* positions;  // [T]
  int32_t rows;
  int32_t heads;
  int32_t head_dim;
  const float* x;
  int64_t x_stride;
  int64_t out_stride;
};
void Rope(const RopeWork& work, float* out, Stream stream);
void Rope(const RopeWork& work, Bf16* out, Stream stream);

// x [count] → out [count], which may be x.
void Activate(Activation activation, const float* x, int64_t count, float* out, Stream stream);
void Activate(Activation activation, const float* x, int64_t count, Bf16* out, Stream stream);
// gate_up [T, 2F] → out [T, F].
struct SiluWork {
  const float* gate_up;
  int32_t rows;
  int32_t width;  // F
};
void SiluMul(const SiluWork& work, float* out, Stream stream);
void SiluMul(const SiluWork& work, Bf16* out, Stream stream);

// x[t] += gamma ⊙ y[t mod P]; gamma null: 1. x [T, D], y [P, D].
struct AddWork {
  const float* y;
  const float* gamma;  // [D] or null
  int32_t rows;        // T
  int32_t y_rows;      // P
  int32_t width;       // D
};
void AddRows(const AddWork& work, float* x, Stream stream);

// out[t] = table[ids[t]], of ids in [0, V). table [V, D]; out [T, D].
struct EmbeddingWork {
  const int32_t* ids;
  int32_t rows;
  int32_t width;
};
void EmbeddingRows(const EmbeddingWork& work, const float* table, float* out, Stream stream);
void EmbeddingRows(const EmbeddingWork& work, const Bf16* table, float* out, Stream stream);

}  // namespace binocle::cuda
