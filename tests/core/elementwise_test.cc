// Small ops on rows. They round once an element: what they give is exact.
#include "core/ops/elementwise.h"

#include <gtest/gtest.h>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

TEST(ScaleRows, MultipliesEveryElementAndNoNeighbour) {
  Numbers numbers(1);
  for (const int64_t rows : {1, 7, 63, 64, 65, 131}) {
    for (const int64_t width : {1, 5, 16, 33}) {
      const Tensor before = RandomTensor({rows, width + 3}, numbers);
      Tensor want = before.Clone();
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t i = 0; i < width; ++i) want.row(t)[2 + i] *= 0.3F;
      for (const int threads : {1, 2}) {
        Exec ex(threads);
        const Tensor got = before.Clone();
        ScaleRows(ex, got.view().Columns(2, 2 + width), 0.3F);
        EXPECT_TRUE(SameBits(got, want)) << rows << " x " << width << ", " << threads << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace binocle
