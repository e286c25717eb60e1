// A row of x that is not finite, among others.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/testing/tensors.h"

namespace binocle::testing {

// product(x) [rows, n]: whatever is not finite in one row, and wherever, no result of that row is, and all others' are those of `clean`.
template <typename Product>
void ExpectABrokenRowBreaksAlone(const Tensor& clean, const Product& product) {
  constexpr int64_t kBroken = 2;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const int64_t rows = clean.view().dim(0), k = clean.view().dim(1);
  const Tensor want = product(clean);
  for (const float broken : {kNaN, -kNaN, std::numeric_limits<float>::infinity(),
                             -std::numeric_limits<float>::infinity()}) {
    for (const int64_t at : {int64_t{0}, int64_t{37}, k - 1}) {
      const Tensor x = clean.Clone();
      x.row(kBroken)[at] = broken;
      const Tensor y = product(x);
      for (int64_t r = 0; r < rows; ++r) {
        if (r != kBroken) {
          EXPECT_TRUE(SameBits(y.view().Rows(r, r + 1), want.view().Rows(r, r + 1))) << r;
          continue;
        }
        for (int64_t n = 0; n < y.view().dim(1); ++n)
          ASSERT_FALSE(std::isfinite(y.row(r)[n])) << broken << " at " << at << ", column " << n;
      }
    }
  }
}

}  // namespace binocle::testing
