// llm/sampling.h on a GPU: one token for each of several sequences, without their logits leaving the device. Host code; no header of CUDA's.
//
//   logits → constraint → repetition penalty → ÷ temperature → top-k → top-p → min-p → draw          temperature 0: argmax after the penalty
//
// The filters, their order and their ties are those of Sampler. A token's weight exp((score − best) / temperature) is kept as a whole number of 2⁻⁴⁰, so
// sums do not depend on their order, and a draw is the CPU's but where a sum of the CPU's doubles ends within 2⁻³⁰ of the target.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"
#include "core/backend/cuda/stream.h"

namespace binocle::cuda {

struct SampleParams {
  double temperature;  // 0: greedy
  int32_t top_k;       // 0: all
  double top_p;        // 1: all
  double min_p;        // 0: all
  float repetition_penalty;
  double uniform;  // UniformAt(seed, step)
};

struct SampleWork {
  const float* logits;              // [T, V]
  int32_t rows;                     // T
  int32_t vocabulary;               // V
  int32_t usable;                   // ids below
  const SampleParams* params;       // [T]
  const uint64_t* const* observed;  // [T]: a bit per id that the penalty is for, or null
  const uint64_t* const* allowed;   // [T]: a bit per id that may come, or null
  int32_t* ids;                     // [T] out: the token, or one of the below
};
inline constexpr int32_t kBrokenLogits = -1;     // NaN or +∞
inline constexpr int32_t kNothingPossible = -2;  // nothing but −∞

void Sample(const SampleWork& work, Stream stream);
inline constexpr CudaCommand<SampleWork> kSample{"sample"};

}  // namespace binocle::cuda
