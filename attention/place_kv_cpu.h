// One frequency of one page; called by place_kv.cc.
#pragma once

#include <cstdint>

namespace binocle {

// A frequency's two rows of `count` consecutive tokens, and where they go.
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
