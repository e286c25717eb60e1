// Keys and values into the device's pages (attention_cuda.h). Host code; no header of CUDA's.
//
//   k, v [T, K·d] f32, rows may be strided → page slot[t] / 64, column slot[t] % 64, zero from d to DeviceKvRow(d)
// With a table, keys are rotated on the way, as core/ops/rope.h does: so a picture's kept keys, which are not rotated, are put into place.
#pragma once

#include <cstdint>

#include "attention/attention_cuda.h"

namespace binocle::cuda {

struct WriteKvWork {
  AttentionShape shape;  // heads and scale are not read
  const float* k;
  const float* v;
  int64_t k_stride;  // elements from row to row
  int64_t v_stride;
  const int32_t* slots;  // [T]
  int32_t rows;          // T
  // cos and sin [positions, d/2], and the position of each row [T]; null: keys are rotated already.
  const float* cos;
  const float* sin;
  const int32_t* positions;
};
void WriteKv(const WriteKvWork& work, float* keys, float* values, Stream stream);
void WriteKv(const WriteKvWork& work, Bf16* keys, Bf16* values, Stream stream);
template <typename Element>
struct WriteKvTo {
  WriteKvWork work;
  Element* keys;
  Element* values;
};
inline constexpr CudaCommand<WriteKvTo<float>> kWriteKvF32{"write kv f32"};
inline constexpr CudaCommand<WriteKvTo<Bf16>> kWriteKvBf16{"write kv bf16"};

// z_th ← f_th·z_th, and z_th ← z_th + f_th·v_t,kv(h): attention/head_epilogue.h. z [T, H·d], v [T, K·d] with its stride, f [T, H].
void GateHeads(const AttentionShape& shape, int32_t rows, const float* factor, float* z,
               Stream stream);
struct MixWork {
  AttentionShape shape;
  int32_t rows;
  const float* factor;
  const float* v;
  int64_t v_stride;
};
void MixOwnValue(const MixWork& work, float* z, Stream stream);

struct GateWork {
  AttentionShape shape;
  int32_t rows;
  const float* factor;
};
inline constexpr CudaCommand<Into<GateWork, float>> kGateHeads{"gate heads"};
inline constexpr CudaCommand<Into<MixWork, float>> kMixOwnValue{"mix own value"};

}  // namespace binocle::cuda
