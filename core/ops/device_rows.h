// What ops that run on a GPU ask of their operands.
#pragma once

#include <cstdint>
#include <limits>

#include "core/backend/cuda_backend.h"
#include "core/convert.h"
#include "core/tensor.h"

namespace binocle {

// Kernels count rows and columns in 32 bits.
inline int32_t Int32(int64_t value) {
  BINOCLE_CHECK(value >= 0 && value <= std::numeric_limits<int32_t>::max(), value);
  return static_cast<int32_t>(value);
}

// The elements of rows that lie one after the other.
inline float* DenseF32(const TensorView& rows) {
  BINOCLE_CHECK(rows.on_cuda() && rows.contiguous(), rows.name(), " ", rows.shape().ToString());
  return rows.f32();
}
inline Bf16* DenseBf16(const TensorView& rows) {
  BINOCLE_CHECK(rows.on_cuda() && rows.contiguous() && rows.dtype() == DType::kBF16, rows.name(),
                " ", rows.shape().ToString());
  return static_cast<Bf16*>(rows.data());
}

// Adds the command that writes the type of `out`.
template <typename Work>
void RunInto(CudaBackend& cuda, const cuda::CudaCommand<cuda::Into<Work, float>>& f32,
             const cuda::CudaCommand<cuda::Into<Work, Bf16>>& bf16,
             const std::type_identity_t<Work>& work, const TensorView& out) {
  if (out.dtype() == DType::kBF16) return cuda.Run(bf16, {work, DenseBf16(out)});
  cuda.Run(f32, {work, DenseF32(out)});
}

}  // namespace binocle
