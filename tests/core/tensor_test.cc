#include "core/tensor.h"

#include <gtest/gtest.h>

namespace binocle {
namespace {

TEST(Tensor, IsZeroedAlignedAndContiguous) {
  const Tensor t = Tensor::F32({3, 5, 7}, "t");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.f32()) % 64, 0U);
  EXPECT_TRUE(t.view().contiguous());
  for (int64_t i = 0; i < t.view().elements(); ++i) EXPECT_EQ(t.f32()[i], 0);
  EXPECT_EQ(t.bytes(), 3 * 5 * 7 * 4);
}

TEST(Tensor, RowsAndColumnsAreViewsOfTheSameElements) {
  Tensor t = Tensor::F32({4, 6});
  t.row(2)[3] = 8;
  const TensorView part = t.view().Rows(1, 4).Columns(2, 5);
  EXPECT_EQ(part.row(1)[1], 8);
  EXPECT_EQ(part.shape(), (Shape{3, 3}));
  EXPECT_FALSE(part.contiguous());
  part.row(0)[0] = 9;
  EXPECT_EQ(t.row(1)[2], 9);
}

TEST(Tensor, CloneIsIndependent) {
  Tensor t = Tensor::F32({2});
  const Tensor copy = t.Clone();
  t.f32()[0] = 1;
  EXPECT_EQ(copy.f32()[0], 0);
  EXPECT_TRUE(Tensor().Clone().empty());
}

TEST(Tensor, LargeBuffersComeZeroedFromTheSystem) {
  const Tensor t = Tensor::F32({1 << 20});
  EXPECT_EQ(t.f32()[(1 << 20) - 1], 0);
}

TEST(Tensor, MoreMemoryThanThereIsIsAnError) {
  EXPECT_THROW(Tensor::F32({int64_t{1} << 60}), Error);
}

TEST(Shape, PrintsAndCounts) {
  EXPECT_EQ((Shape{577, 1024}).ToString(), "[577, 1024]");
  EXPECT_EQ((Shape{2, 0, 3}).elements(), 0);
  EXPECT_EQ(Shape().elements(), 0);
}

TEST(TensorDeathTest, ViewsOutsideTheTensorAreInvariantViolations) {
  const Tensor t = Tensor::F32({2, 3}, "t");
  EXPECT_DEATH(t.view().Rows(1, 3), "rows 1..3");
  EXPECT_DEATH(t.view().Columns(0, 2).Reshape({4}), "as \\[4\\]");
}

}  // namespace
}  // namespace binocle
