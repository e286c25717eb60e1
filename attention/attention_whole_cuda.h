// Attention of equal runs that see all of their keys, in one call: what towers and cross-attention ask for, and what a library may know better than
// our tiles. Host code; no header of CUDA's.
//
//   O_i = Σ_j softmax_j(scale · q_i·k_j) v_j      LSE_i = log Σ_j exp(scale · q_i·k_j)      run b: rows b·S … (b + 1)·S − 1, keys 0 … N − 1 of its pages
//
// The library hands O over in bf16 and LSE by head; a kernel puts both where AttentionOut has them. Where there is no library, or it has nothing for
// a shape, the same work runs as tiles.
#pragma once

#include <cstdint>

#include "attention/attention_cuda.h"

namespace binocle::cuda {

struct WholeWork {
  AttentionWork<Bf16> tiles;  // the same, as tiles
  int32_t runs;               // B
  int32_t rows;               // S, of each run
  int32_t keys;               // N, of each run
  int32_t pool_pages;         // more than any page's number
  const int32_t* pages;       // [B, ⌈N / 64⌉]
  const int32_t* row_counts;  // [B], each S
  const int32_t* key_counts;  // [B], each N
  Bf16* out;                  // [B·S, H·d], the library's
  float* lse;                 // [B, H, S], the library's
};

// AttendWhole with the library that the module has (whole_cudnn_cuda.cu).
inline constexpr CudaCommand<WholeWork> kAttendWhole{"attend whole"};

// A library that knows attention.
class WholeAttention {
 public:
  virtual ~WholeAttention() = default;
  // Begins it, into `out` and `lse` of the work; false where it has nothing for this shape, and nothing has begun.
  virtual bool Attend(const WholeWork& work, Stream stream) = 0;
};

// By the library, or as tiles where there is none or it has nothing.
void AttendWhole(const WholeWork& work, WholeAttention* library, Stream stream);

// Runs from which a library is asked: below, launching costs more than it saves.
inline constexpr int64_t kWholeRows = 256;

}  // namespace binocle::cuda
