// Ops over rows on a GPU: norms, rotary embedding, activations, sums, embeddings. Each is its CPU op's definition (norm.h, rope.h, activation.h,
// elementwise.h); what is said here is shapes and types. Host code; no header of CUDA's.
//
// Residual streams are f32; what goes into a matrix product is written as f32 or as bf16, whichever that product reads. All rows are contiguous unless a
// stride is given. Sums are f32.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/backend/cuda/stream.h"
#include "core/convert.h"
#include "core/ops/activation.h"

namespace binocle::cuda {

// x [T, D] → out [T, D], which may be x where both are f32. bias null: RmsNorm; else LayerNorm. With heads each row is so many rows of D side by side.
struct NormWork {
  const float* x;
  const float* weight;  // [D]
  const float* bias;    // [D] or null
  float epsilon;
  int32_t rows;        // T
  int32_t width;       // D
  int32_t heads = 1;   //
  int64_t stride = 0;  // of x and out, elements from row to row; 0: heads·D
};
void Norm(const NormWork& work, float* out, Stream stream);
void Norm(const NormWork& work, Bf16* out, Stream stream);
inline constexpr CudaCommand<Into<NormWork, float>> kNormF32{"norm f32"};
inline constexpr CudaCommand<Into<NormWork, Bf16>> kNormBf16{"norm bf16"};

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
inline constexpr CudaCommand<Into<RopeWork, float>> kRopeF32{"rope f32"};
inline constexpr CudaCommand<Into<RopeWork, Bf16>> kRopeBf16{"rope bf16"};

// x [count] → out [count], which may be x.
void Activate(Activation activation, const float* x, int64_t count, float* out, Stream stream);
void Activate(Activation activation, const float* x, int64_t count, Bf16* out, Stream stream);
struct ActivateWork {
  Activation activation;
  const float* x;
  int64_t count;
};
inline constexpr CudaCommand<Into<ActivateWork, float>> kActivateF32{"activate f32"};
inline constexpr CudaCommand<Into<ActivateWork, Bf16>> kActivateBf16{"activate bf16"};

// gate_up [T, 2F] → out [T, F].
struct SiluWork {
  const float* gate_up;
  int32_t rows;
  int32_t width;  // F
};
void SiluMul(const SiluWork& work, float* out, Stream stream);
void SiluMul(const SiluWork& work, Bf16* out, Stream stream);
inline constexpr CudaCommand<Into<SiluWork, float>> kSiluMulF32{"silu f32"};
inline constexpr CudaCommand<Into<SiluWork, Bf16>> kSiluMulBf16{"silu bf16"};

// x[t] += gamma ⊙ y[t mod P]; gamma null: 1. x [T, D], y [P, D].
struct AddWork {
  const float* y;
  const float* gamma;  // [D] or null
  int32_t rows;        // T
  int32_t y_rows;      // P
  int32_t width;       // D
};
void AddRows(const AddWork& work, float* x, Stream stream);
inline constexpr CudaCommand<Into<AddWork, float>> kAddRows{"add rows"};

// out[t] = table[ids[t]], of ids below V; zeros for negative ones, which is what sampling gives a sequence whose logits are broken (llm/sampling_cuda.h).
// table [V, D]; out [T, D].
struct EmbeddingWork {
  const int32_t* ids;
  int32_t rows;
  int32_t width;
};
void EmbeddingRows(const EmbeddingWork& work, const float* table, float* out, Stream stream);
void EmbeddingRows(const EmbeddingWork& work, const Bf16* table, float* out, Stream stream);
template <typename Element>
struct EmbeddingOf {
  EmbeddingWork work;
  const Element* table;
  float* out;
};
inline constexpr CudaCommand<EmbeddingOf<float>> kEmbeddingF32{"embedding f32"};
inline constexpr CudaCommand<EmbeddingOf<Bf16>> kEmbeddingBf16{"embedding bf16"};

// out[t] = a·x[t] + b·y[t]; y null: a·x[t]. [T, D], each with its stride; out may be x.
struct MixRowsWork {
  const float* x;
  const float* y;
  float a;
  float b;
  int32_t rows;
  int32_t width;
  int64_t x_stride;
  int64_t y_stride;
  float* out;
  int64_t out_stride;
};
void MixRows(const MixRowsWork& work, Stream stream);
inline constexpr CudaCommand<MixRowsWork> kMixRows{"mix rows"};

// scale·x, to nearest even, into dense rows. x [T, D] with its stride.
struct RoundWork {
  const float* x;
  int64_t stride;
  int32_t rows;
  int32_t width;
  Bf16* out;
  float scale = 1;
};
void RoundRows(const RoundWork& work, Stream stream);
inline constexpr CudaCommand<RoundWork> kRoundRows{"round rows"};

// A grid of rows resampled to another: out row i is the sum of four rows of x, weighted (fusion/resample.h). x [·, D], out [T, D] dense.
struct ResampleTap {
  int32_t row[4];
  float weight[2];  // of the lower ones: columns', rows'
};
struct ResampleWork {
  const float* x;
  const ResampleTap* taps;  // [T]
  int32_t rows;
  int32_t width;
  float* out;
};
void ResampleRows(const ResampleWork& work, Stream stream);
inline constexpr CudaCommand<ResampleWork> kResampleRows{"resample rows"};

// For each row of x [T, D] dense: max over `dims` of |x|, and the mean of x² (llm/sinks.h), side by side.
struct PeakWork {
  const float* x;
  const int32_t* dims;
  int32_t dim_count;
  int32_t rows;
  int32_t width;
  float* out;  // [T, 2]
};
void PeaksOfRows(const PeakWork& work, Stream stream);
inline constexpr CudaCommand<PeakWork> kPeaksOfRows{"peaks of rows"};

}  // namespace binocle::cuda
