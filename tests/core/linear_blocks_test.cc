// Products with weights in block types as the bytes that they are stored as, at every level that this processor has.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <tuple>

#include "core/convert.h"
#include "core/ops/block_rows.h"
#include "core/ops/block_strip.h"
#include "core/ops/block_tiles.h"
#include "core/ops/linear.h"
#include "tests/core/broken_row.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomBlocks;
using testing::RandomTensor;
using testing::SameBits;

constexpr DType kStripTypes[] = {DType::kQ80, DType::kQ40, DType::kQ41, DType::kQ50,
                                 DType::kQ51, DType::kQ4K, DType::kQ5K, DType::kQ6K};

LinearWeights InBlocks(const std::vector<StoredLinear>& parts) {
  Exec ex(1);
  return PackLinear(ex, parts, WeightKind::kBlocks);
}

Tensor BlockProduct(const TensorView& x, const LinearWeights& w, CpuLevel level, int threads = 1) {
  Exec ex(threads, level);
  Tensor y = Tensor::F32({x.dim(0), w.n}, "y");
  Linear(ex, x, w, y);
  return y;
}

// x as the products see it: bytes with a scale per 32.
Tensor RoundedByGroups(const TensorView& x) {
  Tensor out = Tensor::F32({x.dim(0), x.dim(1)}, "rounded");
  for (int64_t r = 0; r < x.dim(0); ++r) {
    for (int64_t k0 = 0; k0 < x.dim(1); k0 += 32) {
      float largest = 0;
      for (int64_t k = k0; k < k0 + 32; ++k) largest = std::max(largest, std::fabs(x.row(r)[k]));
      for (int64_t k = k0; k < k0 + 32; ++k)
        out.row(r)[k] = largest == 0
                            ? 0
                            : std::nearbyint(x.row(r)[k] * (127.0F / largest)) * (largest / 127.0F);
    }
  }
  return out;
}

Tensor ExpandedRows(const StoredLinear& part) {
  const TensorView& stored = part.weight;
  Tensor out = Tensor::F32(stored.shape(), "expanded");
  for (int64_t r = 0; r < stored.dim(0); ++r) {
    ReadAsF32(stored, part.order.Stored(r) * stored.dim(1), stored.dim(1), out.row(r));
    for (int64_t k = 0; k < stored.dim(1); ++k) out.row(r)[k] *= part.scale;
  }
  return out;
}

// y is x·wᵀ + bias up to f32 sums, of which `size` is what they can lose to.
void ExpectProduct(const Tensor& y, const Tensor& x, const Tensor& w, const TensorView& bias,
                   int64_t first_column = 0) {
  for (int64_t r = 0; r < x.view().dim(0); ++r) {
    for (int64_t n = 0; n < w.view().dim(0); ++n) {
      double want = bias.empty() ? 0 : bias.f32()[n], size = std::fabs(want);
      for (int64_t k = 0; k < x.view().dim(1); ++k) {
        const double term = static_cast<double>(x.row(r)[k]) * w.row(n)[k];
        want += term;
        size += std::fabs(term);
      }
      ASSERT_NEAR(y.row(r)[first_column + n], want, 2e-6 * size) << "row " << r << " column " << n;
    }
  }
}

class BlockLinear : public ::testing::TestWithParam<std::tuple<DType, CpuLevel>> {
 protected:
  DType dtype() const { return std::get<0>(GetParam()); }
  CpuLevel level() const { return std::get<1>(GetParam()); }
  int64_t block() const { return UnitOf(dtype()).elements; }
  void SetUp() override {
    if (level() > BestCpuLevel()) GTEST_SKIP() << "this processor has no " << CpuLevelName(level());
  }
};

INSTANTIATE_TEST_SUITE_P(All, BlockLinear,
                         ::testing::Combine(::testing::ValuesIn(kStripTypes),
                                            ::testing::ValuesIn(CpuLevels().begin(),
                                                                CpuLevels().end())),
                         [](const auto& test) {
                           return std::string(DTypeName(std::get<0>(test.param))) + "_" +
                                  std::string(CpuLevelName(std::get<1>(test.param)));
                         });

TEST_P(BlockLinear, WhatIsNotFiniteIsSoInEveryResultOfItsRow) {
  Numbers numbers(7);
  const Tensor stored = RandomBlocks(dtype(), {70, 512}, numbers);
  const LinearWeights w = InBlocks({{.weight = stored}});
  for (const int64_t rows : {int64_t{3}, int64_t{40}}) {
    testing::ExpectABrokenRowBreaksAlone(RandomTensor({rows, 512}, numbers), [&](const Tensor& x) {
      return BlockProduct(x, w, level());
    });
  }
}

TEST_P(BlockLinear, AStripHoldsTheElementsBitForBit) {
  Numbers numbers(1);
  for (const int64_t depth : {block(), std::max<int64_t>(block(), 224), kStripDepth}) {
    const Tensor stored = RandomBlocks(dtype(), {kStripWidth, depth}, numbers);
    StripRows rows;
    for (int64_t n = 0; n < kStripWidth; ++n)
      rows.row[n] = static_cast<const uint8_t*>(stored.view().Rows(n, n + 1).data());
    BlockStrip strip;
    ReadStrip(level(), dtype(), rows, depth, 1, strip);
    const BlockForm form = FormOf(dtype());
    const Tensor want = ExpandedRows({.weight = stored, .bias = {}});
    for (int64_t n = 0; n < kStripWidth; ++n) {
      for (int64_t k = 0; k < depth; ++k) {
        const float a = strip.a[form.halves ? k / 16 : k / 32][n];
        const float product = a * static_cast<float>(strip.u[k / 4][n][k % 4] - form.zero);
        const float value = form.shifted ? product + strip.m[k / 32][n] : product;
        ASSERT_EQ(std::memcmp(&value, &want.row(n)[k], 4), 0) << "row " << n << " element " << k;
      }
    }
  }
}

#if defined(__x86_64__)

TEST(BlockLinear, AStripOfTilesHoldsTheElementsBitForBit) {
  if (BestCpuLevel() < CpuLevel::kAvx512) GTEST_SKIP() << "this processor has no avx512";
  Numbers numbers(9);
  for (const DType dtype : kStripTypes) {
    const int64_t block = UnitOf(dtype).elements;
    for (const int64_t depth : {block, std::max<int64_t>(block, 224), kStripDepth}) {
      SCOPED_TRACE(internal::Concat(DTypeName(dtype), " ", depth));
      const Tensor stored = RandomBlocks(dtype, {kStripWidth, depth}, numbers);
      TileStrip strip;
      ReadTileStrip(dtype,
                    {.first = static_cast<const uint8_t*>(stored.view().data()),
                     .stride = StoredBytes(dtype, depth)},
                    depth, 1, strip);
      const BlockForm form = FormOf(dtype);
      const Tensor want = ExpandedRows({.weight = stored, .bias = {}});
      for (int64_t n = 0; n < kStripWidth; ++n) {
        for (int64_t k = 0; k < depth; ++k) {
          const float a = strip.a[form.halves ? k / 16 : k / 32][n];
          const float product = a * static_cast<float>(strip.v[n][k]);
          const float value = form.shifted ? product + strip.m[k / 32][n] : product;
          ASSERT_EQ(std::memcmp(&value, &want.row(n)[k], 4), 0) << "row " << n << " element " << k;
        }
      }
    }
  }
}

#endif

// One; edges of strips (16), of panels (64), of rows at once (2, 8), of few rows and tiles (16), of blocks of sums (128, 256); and their neighbours.
TEST_P(BlockLinear, IsTheProductOfTheStoredWeightsAndTheRoundedRows) {
  struct Shape3 {
    int64_t rows, n, blocks;
  };
  for (const auto& [rows, n, blocks] : {Shape3{1, 1, 1},
                                        {2, 15, 3},
                                        {3, 17, 9},
                                        {7, 64, 2},
                                        {8, 65, 4},
                                        {9, 100, 1},
                                        {16, 130, 5},
                                        {17, 70, 3},
                                        {130, 80, 1},
                                        {259, 9, 2}}) {
    SCOPED_TRACE(internal::Concat(rows, " × ", blocks, " blocks × ", n));
    Numbers numbers(static_cast<uint64_t>(rows * 1000 + n));
    const Tensor x = RandomTensor({rows, blocks * block()}, numbers);
    const Tensor stored = RandomBlocks(dtype(), {n, blocks * block()}, numbers);
    const Tensor bias = RandomTensor({n}, numbers);
    const StoredLinear part{.weight = stored, .bias = bias};
    ExpectProduct(BlockProduct(x, InBlocks({part}), level()), RoundedByGroups(x),
                  ExpandedRows(part), bias);
  }
}

TEST_P(BlockLinear, HasTheSameBitsAtEveryLevel) {
  Numbers numbers(2);
  const int64_t k = 5 * block();
  const Tensor stored = RandomBlocks(dtype(), {100, k}, numbers);
  const LinearWeights w = InBlocks({{.weight = stored, .bias = {}}});
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 32, 33, 40}) {
    const Tensor x = RandomTensor({rows, k}, numbers);
    EXPECT_TRUE(SameBits(BlockProduct(x, w, level()), BlockProduct(x, w, CpuLevel::kScalar)))
        << rows << " rows";
  }
}

TEST_P(BlockLinear, ARowDoesNotDependOnTheOthersNorOnThreads) {
  Numbers numbers(3);
  const int64_t k = 3 * kStripDepth;
  const Tensor x = RandomTensor({150, k}, numbers);
  const Tensor stored = RandomBlocks(dtype(), {330, k}, numbers);
  const LinearWeights w = InBlocks({{.weight = stored, .bias = {}}});
  const Tensor all = BlockProduct(x, w, level());
  EXPECT_TRUE(SameBits(BlockProduct(x, w, level(), 2), all));
  EXPECT_TRUE(SameBits(BlockProduct(x, w, level(), 3), all));
  for (const auto& [begin, end] :
       {std::pair<int64_t, int64_t>{0, 1}, {17, 18}, {149, 150}, {3, 5}, {20, 36}, {30, 47}}) {
    const Tensor some = BlockProduct(x.view().Rows(begin, end), w, level(), 2);
    EXPECT_TRUE(SameBits(some, all.view().Rows(begin, end))) << begin << " to " << end;
  }
}

// Heads of 40 rows: halves of 20, so that some strips hold the end of one half and the beginning of the other.
TEST_P(BlockLinear, ScaledRowsInAnotherOrderHaveTheSameBitsAtEveryLevel) {
  Numbers numbers(10);
  const int64_t k = std::max<int64_t>(2 * kStripDepth, 3 * block()) + block();
  const Tensor stored = RandomBlocks(dtype(), {120, k}, numbers);
  const LinearWeights w =
      InBlocks({{.weight = stored, .bias = {}, .order = {.interleaved_head = 40}, .scale = 0.37F}});
  for (const int64_t rows : {1, 5, 20}) {
    const Tensor x = RandomTensor({rows, k}, numbers);
    EXPECT_TRUE(SameBits(BlockProduct(x, w, level(), 2), BlockProduct(x, w, CpuLevel::kScalar)))
        << rows << " rows";
  }
}

// All bits of q set, and rows of one sign or of both: where products of pairs that are added in 16 bits would saturate.
TEST_P(BlockLinear, TheLargestNumbersDoNotOverflow) {
  const int64_t k = 2 * kStripDepth;
  for (const uint8_t byte : {0x00, 0x7F, 0x80, 0xFF}) {
    Numbers numbers(4);
    const Tensor stored = RandomBlocks(dtype(), {17, k}, numbers);
    auto* bytes = static_cast<uint8_t*>(stored.view().data());
    const int64_t unit = UnitOf(dtype()).bytes;
    const int64_t scale = dtype() == DType::kQ6K ? unit - 2 : 0;
    for (int64_t i = 0; i < stored.bytes(); ++i) {
      const int64_t in_scales = i % unit - scale;
      if (in_scales < 0 || in_scales >= (FormOf(dtype()).shifted ? 4 : 2)) bytes[i] = byte;
    }
    Tensor x = Tensor::F32({3, k});
    for (int64_t i = 0; i < k; ++i) {
      x.row(0)[i] = 1;
      x.row(1)[i] = -1;
      x.row(2)[i] = i % 3 == 0 ? -1.0F : 1.0F;
    }
    const StoredLinear part{.weight = stored, .bias = {}};
    ExpectProduct(BlockProduct(x, InBlocks({part}), level()), x, ExpandedRows(part), {});
  }
}

TEST_P(BlockLinear, AddsToWhatIsThereAndReadsAndWritesStridedRows) {
  Numbers numbers(5);
  const int64_t k = 2 * block();
  const Tensor wide = RandomTensor({20, k + 30}, numbers);
  const Tensor stored = RandomBlocks(dtype(), {65, k}, numbers);
  const Tensor bias = RandomTensor({65}, numbers);
  const LinearWeights w = InBlocks({{.weight = stored, .bias = bias}});
  Tensor dense = Tensor::F32({20, k});
  for (int64_t r = 0; r < 20; ++r) std::copy_n(wide.row(r) + 20, k, dense.row(r));
  const Tensor product = BlockProduct(dense, w, level());
  Exec ex(2, level());
  Tensor out = Tensor::F32({20, 200}, "y");
  Linear(ex, wide.view().Columns(20, 20 + k), w, out.view().Columns(100, 165));
  EXPECT_TRUE(SameBits(out.view().Columns(100, 165), product));
  EXPECT_EQ(out.row(3)[99], 0) << "the neighbours of a strided output are left alone";
  EXPECT_EQ(out.row(3)[165], 0);
  LinearAdd(ex, dense, w, out.view().Columns(100, 165));
  for (int64_t r = 0; r < 20; ++r)
    for (int64_t n = 0; n < 65; ++n)
      ASSERT_NEAR(out.row(r)[100 + n], 2 * product.row(r)[n],
                  3e-7 * (std::fabs(product.row(r)[n]) + std::fabs(bias.f32()[n])));
}

// In Q4_K_M files q and k are q4_k where v is q6_k.
TEST(BlockLinear, PartsOfSeveralTypesAreStackedInTheirOwnOrdersAndScaled) {
  Numbers numbers(6);
  const int64_t k = 512, head = 24;
  const RowOrder order{.interleaved_head = head};
  const Tensor q = RandomBlocks(DType::kQ4K, {4 * head, k}, numbers);
  const Tensor key = RandomBlocks(DType::kQ80, {2 * head, k}, numbers);
  const Tensor value = RandomBlocks(DType::kQ6K, {2 * head, k}, numbers);
  const std::vector<StoredLinear> parts = {
      {.weight = q, .bias = {}, .order = order},
      {.weight = key, .bias = {}, .order = order, .scale = 0.22F},
      {.weight = value, .bias = {}, .order = {}, .scale = -3}};
  const LinearWeights w = InBlocks(parts);
  for (const int64_t rows : {3, 20}) {
    const Tensor x = RandomTensor({rows, k}, numbers);
    for (const CpuLevel level : CpuLevels()) {
      if (level > BestCpuLevel()) continue;
      const Tensor y = BlockProduct(x, w, level, 2);
      int64_t column = 0;
      for (const StoredLinear& part : parts) {
        ExpectProduct(y, RoundedByGroups(x), ExpandedRows(part), {}, column);
        const Tensor alone = BlockProduct(x, InBlocks({part}), level);
        const int64_t end = column + part.weight.dim(0);
        EXPECT_TRUE(SameBits(y.view().Columns(column, end), alone)) << "whatever it lies beside";
        column = end;
      }
    }
  }
}

// Rows 0, 2, … 30, then 1, 3, …: no two lie one after the other. And a run of sixteen.
TEST(BlockLinear, WhatIsBroughtAheadGoesAlongTheRows) {
  std::vector<uint8_t> memory(4096);
  for (const int64_t apart : {1, 2}) {
    StripRows rows;
    for (int64_t n = 0; n < kStripWidth; ++n) rows.row[n] = memory.data() + n * apart * 100;
    const RowsAhead ahead(rows, 100);
    RowsAhead::Cursor cursor = ahead.Begin();
    EXPECT_EQ(cursor.at(), rows.row[0]);
    cursor.Fetch<1, 50>();
    EXPECT_EQ(cursor.at(), rows.row[0] + 50);
    cursor.Fetch<1, 60>();
    EXPECT_EQ(cursor.at(), apart == 1 ? rows.row[1] + 10 : rows.row[1]);
    for (int i = 0; i < 100; ++i) cursor.Fetch<1, 60>();
    EXPECT_GE(cursor.at(), rows.row[15] + 100) << "and then no further row";
  }
}

TEST(BlockLinear, GroupsOfZerosAndOfTheTiniestNumbersAreZeros) {
  Numbers numbers(7);
  const Tensor stored = RandomBlocks(DType::kQ41, {5, 64}, numbers);
  Tensor x = Tensor::F32({3, 64});
  x.row(1)[7] = 1e-40F;
  x.row(2)[40] = 1;
  const StoredLinear part{.weight = stored, .bias = {}};
  const Tensor y = BlockProduct(x, InBlocks({part}), BestCpuLevel());
  for (int64_t n = 0; n < 5; ++n) {
    EXPECT_EQ(y.row(0)[n], 0);
    EXPECT_NEAR(y.row(1)[n], 0, 1e-38);
    EXPECT_NEAR(y.row(2)[n], ExpandedRows(part).row(n)[40], 1e-6);
  }
}

TEST(BlockLinear, NothingIsAllocatedButTheBias) {
  Numbers numbers(8);
  const Tensor stored = RandomBlocks(DType::kQ4K, {70, 512}, numbers);
  const Tensor bias = RandomTensor({70}, numbers);
  EXPECT_EQ(InBlocks({{.weight = stored, .bias = bias}}).bytes(), 4 * 70);
  EXPECT_DEATH(InBlocks({{.weight = bias.view().Reshape({7, 10}), .bias = {}}}),
               "is not in blocks");
}

}  // namespace
}  // namespace binocle
