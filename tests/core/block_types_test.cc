#include "core/block_types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/convert.h"
#include "core/ops/elementwise.h"
#include "core/safetensors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomBlocks;
using testing::SameBits;

constexpr DType kBlockTypes[] = {DType::kQ80, DType::kQ40, DType::kQ41, DType::kQ50,
                                 DType::kQ51, DType::kQ4K, DType::kQ5K, DType::kQ6K};

std::string BlockTypeName(const ::testing::TestParamInfo<DType>& info) {
  return std::string(DTypeName(info.param));
}

class BlockTypes : public ::testing::TestWithParam<DType> {};

INSTANTIATE_TEST_SUITE_P(All, BlockTypes, ::testing::ValuesIn(kBlockTypes), BlockTypeName);

TEST_P(BlockTypes, ValuesAreThoseOfTheGgufPackageBitForBit) {
  const SafetensorsFile file(std::filesystem::path(BINOCLE_TEST_DATA) / "gguf/blocks.safetensors");
  const std::string name(DTypeName(GetParam()));
  const TensorView blocks = file.tensors().at(name + ".blocks");
  const TensorView want = file.tensors().at(name + ".values");
  ASSERT_EQ(UnitOf(GetParam()).bytes, blocks.dim(1));
  ASSERT_EQ(UnitOf(GetParam()).elements, want.dim(1));
  const Tensor expected = Tensor::F32(want.shape(), "values");
  ReadAsF32(want, 0, want.elements(), expected.f32());
  const Tensor got = Tensor::F32(want.shape(), "values");
  ExpandBlocks(GetParam(), blocks.data(), want.elements(), got.f32());
  EXPECT_TRUE(SameBits(got, expected));
}

TEST_P(BlockTypes, PartsOfATensorAreReadByWholeBlocks) {
  Numbers numbers(1);
  const int64_t block = UnitOf(GetParam()).elements;
  const Tensor stored = RandomBlocks(GetParam(), {3, 2 * block}, numbers);
  std::vector<float> all(static_cast<size_t>(6 * block));
  ReadAsF32(stored, 0, 6 * block, all.data());
  std::vector<float> part(static_cast<size_t>(2 * block));
  ReadAsF32(stored, 3 * block, 2 * block, part.data());
  EXPECT_EQ(std::memcmp(part.data(), all.data() + 3 * block, part.size() * 4), 0);
  float one;
  EXPECT_DEATH(ReadAsF32(stored, 1, block, &one), "1 elements of q");
  EXPECT_DEATH(ReadAsF32(stored, 0, 1, &one), "1 elements of q");
}

TEST_P(BlockTypes, ViewsKnowTheirBytesAndElementsHaveNone) {
  Numbers numbers(2);
  const DTypeUnit unit = UnitOf(GetParam());
  const Tensor stored = RandomBlocks(GetParam(), {4, 3 * unit.elements}, numbers);
  const auto* begin = static_cast<const char*>(stored.view().data());
  EXPECT_EQ(stored.view().bytes(), 12 * unit.bytes);
  EXPECT_EQ(stored.view().Rows(2, 4).data(), begin + 6 * unit.bytes);
  EXPECT_EQ(stored.view().Rows(2, 4).bytes(), 6 * unit.bytes);
  EXPECT_EQ(stored.view().Columns(unit.elements, 2 * unit.elements).data(), begin + unit.bytes);
  EXPECT_DEATH(stored.view().Columns(0, 1), "is q");
  EXPECT_DEATH(DTypeSize(GetParam()), "check failed");
  EXPECT_DEATH(stored.view().Reshape({12 * unit.elements, 1}), "is q");
}

TEST_P(BlockTypes, RowsOfATableAreExpanded) {
  Numbers numbers(3);
  const int64_t width = 2 * UnitOf(GetParam()).elements;
  const Tensor table = RandomBlocks(GetParam(), {5, width}, numbers);
  const Tensor all = Tensor::F32({5, width});
  ReadAsF32(table, 0, 5 * width, all.f32());
  const std::vector<int32_t> ids = {4, 0, 4};
  const Tensor rows = Tensor::F32({3, width}, "rows");
  Exec ex(1);
  EmbeddingRows(ex, table, ids, rows);
  for (int64_t t = 0; t < 3; ++t) {
    const int64_t id = ids[static_cast<size_t>(t)];
    EXPECT_TRUE(SameBits(rows.view().Rows(t, t + 1), all.view().Rows(id, id + 1)));
  }
}

// Where a block has scales, found by trying: an infinite f16 anywhere else gives finite values.
TEST_P(BlockTypes, WhatIsNotFiniteIsFoundWhereverAScaleIs) {
  Numbers numbers(4);
  const DTypeUnit unit = UnitOf(GetParam());
  const int64_t count = 3 * unit.elements;
  std::vector<float> values(static_cast<size_t>(count));
  int64_t places = 0;
  for (int64_t at = 0; at + 2 <= unit.bytes; at += 2) {
    for (const uint16_t bits : {0x7C00, 0xFC00, 0x7E00, 0x7BFF}) {
      const Tensor stored = RandomBlocks(GetParam(), {count}, numbers);
      std::memcpy(static_cast<char*>(stored.view().data()) + unit.bytes + at, &bits, 2);
      ExpandBlocks(GetParam(), stored.view().data(), count, values.data());
      int64_t want = -1;
      for (int64_t i = count - 1; i >= 0; --i) {
        if (!std::isfinite(values[static_cast<size_t>(i)])) want = i;
      }
      places += want >= 0;
      ASSERT_EQ(FirstNonFiniteInBlocks(GetParam(), stored.view().data(), count), want)
          << std::hex << bits << " at byte " << at;
      ASSERT_TRUE(want == -1 || want == unit.elements) << "all of a block, or nothing";
    }
  }
  EXPECT_GE(places, 3);
}

}  // namespace
}  // namespace binocle
