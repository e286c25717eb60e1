// Random numbers and tensors, without a test library.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace binocle::testing {

// Deterministic numbers on every platform.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  uint64_t Bits();
  double Uniform();                        // [0, 1)
  float Normal(float scale = 1);           // mean 0
  int64_t Int(int64_t low, int64_t high);  // inclusive

 private:
  uint64_t state_;
};

Tensor RandomTensor(Shape shape, Numbers& numbers, float scale = 1);

}  // namespace binocle::testing
