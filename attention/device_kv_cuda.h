// Keys and values into the device's pages (attention_cuda.h). Host code; no header of CUDA's.
//
//   k, v [T, K·d] f32, rows may be strided → page slot[t] / 64, column slot[t] % 64, zero from d to DeviceKvRow(d)
// With a table, keys are rotated on the way, as core/ops/rope.h does: so a picture's kept keys, which are not rotated, are put into place.
#pragma once

#include <cstdint>

#include "attention/attention_cuda.h"

namespace binocle::cuda {

struct WriteKvWork {
  AttentionShape shape;  // scale is not read, nor heads without queries
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

// The same, and queries beside them: rotated ← scale·RoPE(q), in the pages' type: what a decoder's layer does between its products and attention, in one
// launch. q [T, H·d] f32 with its stride, or null: none. `rotated` may be q where both are f32.
template <typename Element>
struct RopeKvWork {
  WriteKvWork kv;
  Element* keys;
  Element* values;
  const float* q = nullptr;
  int64_t q_stride = 0;
  Element* rotated = nullptr;
  int64_t rotated_stride = 0;
  float scale = 1;
};
void RopeAndWriteKv(const RopeKvWork<float>& work, Stream stream);
void RopeAndWriteKv(const RopeKvWork<Bf16>& work, Stream stream);
inline constexpr CudaCommand<RopeKvWork<float>> kRopeAndWriteKvF32{"rope and write kv f32"};
inline constexpr CudaCommand<RopeKvWork<Bf16>> kRopeAndWriteKvBf16{"rope and write kv bf16"};

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
