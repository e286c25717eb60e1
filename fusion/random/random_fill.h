// Random elements at the speed of memory.
//
// Numbers come from a counter, not from a stream: element i of a tensor depends on the tensor's key and on i alone, so that threads fill
// parts of it in any order and the bytes are always the same. A 64-bit word (SplitMix64 at a place of its sequence) gives four normal
// numbers, each one of 65,536 quantiles: the largest is 4.3 standard deviations.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

// How the elements of a tensor are drawn: normal, about `mean`.
struct RandomWidth {
  float mean = 0;
  float deviation = 1;
};

// One for each seed and name.
uint64_t RandomKey(uint64_t seed, std::string_view name);

// The elements of one tensor.
class RandomElements {
 public:
  // f32, f16, bf16, q8_0 or q4_0 (checked). Of the block types, scales of either sign and quants are drawn, evenly, with that deviation
  // as a whole; `mean` is 0 (checked).
  RandomElements(DType dtype, RandomWidth width, uint64_t key);
  RandomElements(const RandomElements&) = delete;
  RandomElements& operator=(const RandomElements&) = delete;

  static bool Draws(DType dtype);
  // `first` and `count` are multiples of kGrain, but for the end of the tensor.
  static constexpr int64_t kGrain = 256;
  void Fill(Exec& ex, int64_t first, int64_t count, void* out) const;

 private:
  void FillPart(int64_t first, int64_t count, char* out) const;

  DType dtype_;
  uint64_t key_;
  AlignedBuffer table_;  // 65536 elements, or the 256 scales of blocks
};

}  // namespace binocle
