// Rotations, called by rope.cc and by who places keys that were kept unrotated: the same numbers to the last bit.
#pragma once

#include <cstdint>

namespace binocle {

// (low, high) ← (low·cos − high·sin, high·cos + low·sin), `count` pairs. Each output may be its input; otherwise they are apart.
struct RotatedRows {
  const float* low;
  const float* high;
  const float* cos;
  const float* sin;
  float* low_out;
  float* high_out;
  int64_t count;
};

void RotateRowsCpu(const RotatedRows& rows);

}  // namespace binocle
