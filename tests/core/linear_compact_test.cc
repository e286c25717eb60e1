// Products with bf16, int8 and int4 weights, at every level that this processor has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <tuple>
#include <utility>

#include "core/convert.h"
#include "core/ops/int4_block.h"
#include "core/ops/int8_block.h"
#include "core/ops/linear.h"
#include "core/ops/swiglu.h"
#include "tests/core/broken_row.h"
#include "tests/testing/tensors.h"

namespace binocle {

void PrintTo(WeightKind kind, std::ostream* out) { *out << WeightKindName(kind); }
void PrintTo(CpuLevel level, std::ostream* out) { *out << CpuLevelName(level); }

namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

struct CompactShape {
  int64_t rows, n, k;
};

// One; edges of panels (64), of depths (32, 64), of row tiles (16, 32), of what few rows are (16), of blocks of sums (128); and their neighbours.
constexpr CompactShape kShapes[] = {
    {1, 1, 1},     {2, 63, 31},     {3, 65, 33},   {4, 64, 64},    {5, 7, 65},     {6, 130, 127},
    {7, 200, 300}, {10, 70, 160},   {11, 64, 130}, {15, 64, 96},   {16, 66, 40},   {17, 140, 129},
    {31, 17, 31},  {33, 300, 1100}, {49, 20, 70},  {128, 190, 64}, {130, 333, 200}};

constexpr WeightKind kCompact[] = {WeightKind::kBf16, WeightKind::kInt8, WeightKind::kInt4};

LinearWeights Pack(const TensorView& weight, const TensorView& bias, WeightKind kind) {
  Exec ex(2);
  return PackLinear(ex, {{.weight = weight, .bias = bias}}, kind);
}

Tensor Product(const TensorView& x, const LinearWeights& w, CpuLevel level, int threads = 1) {
  Exec ex(threads, level);
  Tensor y = Tensor::F32({x.dim(0), w.n}, "y");
  Linear(ex, x, w, y);
  return y;
}

// The weights that a packed matrix stands for, [n, k], read from its panels by what the headers say of them.
Tensor Unpacked(const LinearWeights& w) {
  Tensor out = Tensor::F32({w.n, w.k}, "unpacked");
  const auto* bytes = static_cast<const uint8_t*>(w.compact.panels.data());
  const int64_t unit = w.compact.kind == WeightKind::kBf16 ? 32 : 64;
  const int64_t depth = (w.k + unit - 1) / unit * unit;
  for (int64_t n = 0; n < w.n; ++n) {
    for (int64_t k = 0; k < w.k; ++k) {
      const int64_t column = n % 64;
      float& value = out.row(n)[k];
      if (w.compact.kind == WeightKind::kBf16) {
        const auto* panel = reinterpret_cast<const uint16_t*>(bytes) + n / 64 * depth * 64;
        value = F32FromBf16(panel[k / 2 * 128 + column * 2 + k % 2]);
      } else if (w.compact.kind == WeightKind::kInt8) {
        const auto* panel = reinterpret_cast<const int8_t*>(bytes) + n / 64 * depth * 64;
        value =
            w.compact.scales.f32()[n] * static_cast<float>(panel[k / 4 * 256 + column * 4 + k % 4]);
      } else {
        const uint8_t* panel = bytes + n / 64 * Int4PanelBytes(depth);
        const uint8_t* factors = panel + k / 32 * 32;
        const uint8_t* group = panel + depth / 32 * 32 + k / 32 * 1024;
        const int factor = column < 32 ? factors[column] & 15 : factors[column - 32] >> 4;
        const int64_t i = k % 32;
        const int byte = group[i % 16 / 4 * 256 + column * 4 + i % 4];
        const int q = (i < 16 ? byte & 15 : byte >> 4) - 8;
        value = w.compact.scales.f32()[n] * static_cast<float>(factor * q);
      }
    }
  }
  return out;
}

// x as the kind's products see it.
Tensor Rounded(const TensorView& x, WeightKind kind) {
  Tensor out = Tensor::F32({x.dim(0), x.dim(1)}, "rounded");
  for (int64_t r = 0; r < x.dim(0); ++r) {
    float largest = 0;
    for (int64_t k = 0; k < x.dim(1); ++k) largest = std::max(largest, std::fabs(x.row(r)[k]));
    for (int64_t k = 0; k < x.dim(1); ++k) {
      out.row(r)[k] = kind == WeightKind::kBf16
                          ? F32FromBf16(Bf16FromF32(x.row(r)[k]).bits)
                          : std::nearbyint(x.row(r)[k] * (127.0F / largest)) * (largest / 127.0F);
    }
  }
  return out;
}

class CompactLinear : public ::testing::TestWithParam<std::tuple<WeightKind, CpuLevel>> {
 protected:
  WeightKind kind() const { return std::get<0>(GetParam()); }
  CpuLevel level() const { return std::get<1>(GetParam()); }
  void SetUp() override {
    if (level() > BestCpuLevel()) GTEST_SKIP() << "this processor has no " << CpuLevelName(level());
  }
};

INSTANTIATE_TEST_SUITE_P(All, CompactLinear,
                         ::testing::Combine(::testing::ValuesIn(kCompact),
                                            ::testing::ValuesIn(CpuLevels().begin(),
                                                                CpuLevels().end())),
                         [](const auto& test) {
                           return std::string(WeightKindName(std::get<0>(test.param))) + "_" +
                                  std::string(CpuLevelName(std::get<1>(test.param)));
                         });

// Weights next to nothing, whose scale has no inverse, are nothing.
TEST_P(CompactLinear, WeightsNextToNothingAreFinite) {
  Numbers numbers(8);
  const Tensor x = RandomTensor({3, 65}, numbers);
  const Tensor weight = RandomTensor({4, 65}, numbers);
  for (int64_t k = 0; k < 65; ++k) {
    weight.row(1)[k] *= 1e-37F;
    weight.row(2)[k] *= 1e-44F;
  }
  const Tensor y = Product(x, Pack(weight, {}, kind()), level());
  for (int64_t r = 0; r < 3; ++r) {
    EXPECT_NEAR(y.row(r)[1], 0, 1e-34) << r;
    EXPECT_EQ(y.row(r)[2], kind() == WeightKind::kBf16 ? y.row(r)[2] : 0.0F) << r;
    EXPECT_GT(std::fabs(y.row(r)[0]), 1e-3) << r;
  }
}

// Bytes have no NaN and no infinity: a row that has one has no result, and says so.
TEST_P(CompactLinear, WhatIsNotFiniteIsSoInEveryResultOfItsRow) {
  Numbers numbers(7);
  const LinearWeights w =
      Pack(RandomTensor({70, 131}, numbers), RandomTensor({70}, numbers), kind());
  for (const int64_t rows : {int64_t{5}, int64_t{40}}) {
    testing::ExpectABrokenRowBreaksAlone(RandomTensor({rows, 131}, numbers),
                                         [&](const Tensor& x) { return Product(x, w, level()); });
  }
}

// Rows that are too many and too long for a cache go through slices of k; one alone does not.
TEST_P(CompactLinear, OfManyLongRowsIsThatOfEach) {
  // Groups of four panels and a smaller one, of two pairs and one; at the scalar level, which takes seconds for them, of two panels.
  const int64_t columns = level() == CpuLevel::kScalar ? 512 : 1152;
  for (const auto& [rows, k] : {std::pair<int64_t, int64_t>{130, 4160}, {800, 1610}}) {
    if (level() == CpuLevel::kScalar && rows > 130) continue;  // would take seconds
    Numbers numbers(static_cast<uint64_t>(k));
    const Tensor x = RandomTensor({rows, k}, numbers);
    const LinearWeights w =
        Pack(RandomTensor({columns, k}, numbers), RandomTensor({columns}, numbers), kind());
    Exec one(1, level());
    Tensor gated = Tensor::F32({rows, columns / 2}), unused;
    const Tensor whole = Product(x, w, level());
    SwiGlu(one, x, w, unused, gated);
    for (const int64_t row : {int64_t{0}, int64_t{1}, int64_t{127}, int64_t{128}, rows - 1}) {
      const TensorView alone = x.view().Rows(row, row + 1);
      EXPECT_TRUE(SameBits(Product(alone, w, level()), whole.view().Rows(row, row + 1))) << row;
      Tensor gated_alone = Tensor::F32({1, columns / 2});
      SwiGlu(one, alone, w, unused, gated_alone);
      EXPECT_TRUE(SameBits(gated_alone, gated.view().Rows(row, row + 1))) << row;
    }
  }
}

TEST_P(CompactLinear, IsTheProductOfTheRoundedOperands) {
  for (const auto& [rows, n, k] : kShapes) {
    Numbers numbers(static_cast<uint64_t>(rows * 1000 + n));
    const Tensor x = RandomTensor({rows, k}, numbers);
    const Tensor weight = RandomTensor({n, k}, numbers);
    const Tensor bias = RandomTensor({n}, numbers);
    const LinearWeights packed = Pack(weight, bias, kind());
    const Tensor w = Unpacked(packed), xr = Rounded(x, kind());
    const Tensor y = Product(x, packed, level());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = 0; i < n; ++i) {
        double want = bias.f32()[i], size = std::fabs(want);
        for (int64_t j = 0; j < k; ++j) {
          const double term = static_cast<double>(xr.row(r)[j]) * w.row(i)[j];
          want += term;
          size += std::fabs(term);
        }
        ASSERT_NEAR(y.row(r)[i], want, 4e-6 * size)
            << rows << " × " << k << " × " << n << ", row " << r << " column " << i;
      }
    }
  }
}

TEST_P(CompactLinear, ARowDoesNotDependOnTheOthersNorOnThreads) {
  Numbers numbers(3);
  const Tensor x = RandomTensor({150, 1100}, numbers);
  const Tensor weight = RandomTensor({330, 1100}, numbers);
  const LinearWeights packed = Pack(weight, {}, kind());
  const Tensor all = Product(x, packed, level());
  EXPECT_TRUE(SameBits(Product(x, packed, level(), 2), all));
  EXPECT_TRUE(SameBits(Product(x, packed, level(), 3), all));
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1},
                                   {17, 18},
                                   {149, 150},
                                   {3, 5},
                                   {8, 12},
                                   {20, 36},
                                   {30, 47},
                                   {60, 105}}) {
    const Tensor some = Product(x.view().Rows(begin, end), packed, level(), 2);
    EXPECT_TRUE(SameBits(some, all.view().Rows(begin, end))) << begin << " to " << end;
  }
}

TEST_P(CompactLinear, AddsToWhatIsThere) {
  Numbers numbers(4);
  const Tensor x = RandomTensor({20, 100}, numbers);
  const Tensor weight = RandomTensor({70, 100}, numbers);
  const LinearWeights packed = Pack(weight, {}, kind());
  const Tensor product = Product(x, packed, level());
  Tensor sum = RandomTensor({20, 70}, numbers);
  Tensor want = sum.Clone();
  for (int64_t i = 0; i < 20 * 70; ++i) want.f32()[i] = product.f32()[i] + want.f32()[i];
  Exec ex(2, level());
  LinearAdd(ex, x, packed, sum);
  for (int64_t i = 0; i < 20 * 70; ++i)
    ASSERT_NEAR(sum.f32()[i], want.f32()[i], 2e-7 * std::fabs(product.f32()[i]) + 2e-7)
        << "element " << i;
}

TEST_P(CompactLinear, ReadsAndWritesStridedRows) {
  Numbers numbers(5);
  const Tensor wide = RandomTensor({40, 100}, numbers);
  const Tensor weight = RandomTensor({65, 30}, numbers);
  const LinearWeights packed = Pack(weight, {}, kind());
  Tensor dense = Tensor::F32({40, 30});
  for (int64_t r = 0; r < 40; ++r) std::copy(wide.row(r) + 20, wide.row(r) + 50, dense.row(r));
  Tensor out = Tensor::F32({40, 200}, "y");
  Exec ex(2, level());
  Linear(ex, wide.view().Columns(20, 50), packed, out.view().Columns(100, 165));
  EXPECT_TRUE(SameBits(out.view().Columns(100, 165), Product(dense, packed, level())));
  EXPECT_EQ(out.row(3)[99], 0) << "the neighbours of a strided output are left alone";
  EXPECT_EQ(out.row(3)[165], 0);
}

TEST_P(CompactLinear, RowsOfZerosAndOfTheTiniestNumbersAreZeros) {
  Tensor x = Tensor::F32({3, 40});
  x.row(1)[7] = 1e-40F;
  x.row(2)[7] = 1;
  Tensor weight = Tensor::F32({5, 40});
  weight.row(0)[7] = 2;
  const Tensor y = Product(x, Pack(weight, {}, kind()), level());
  EXPECT_EQ(y.row(0)[0], 0);
  EXPECT_NEAR(y.row(1)[0], 0, 1e-38);
  EXPECT_NEAR(y.row(2)[0], 2, 1e-6);
  EXPECT_EQ(y.row(2)[1], 0);
}

// Sums of bytes are exact, so what differs between levels could only be a mistake.
TEST(CompactLinear, BytesGiveTheSameBitsAtEveryLevel) {
  Numbers numbers(6);
  for (const WeightKind kind : {WeightKind::kInt8, WeightKind::kInt4}) {
    for (const int64_t rows : {1, 3, 4, 14, 16, 17, 64}) {
      const Tensor x = RandomTensor({rows, 2200}, numbers);
      const LinearWeights packed = Pack(RandomTensor({100, 2200}, numbers), {}, kind);
      const Tensor want = Product(x, packed, CpuLevel::kScalar);
      for (const CpuLevel level : CpuLevels()) {
        if (level > BestCpuLevel()) continue;
        // Highway's widest vectors finish the sums at every level, so that the products are what is compared.
        EXPECT_TRUE(SameBits(Product(x, packed, level), want))
            << WeightKindName(kind) << " " << CpuLevelName(level) << ", " << rows << " rows";
      }
    }
  }
}

// The largest products there are, all of one sign: 255·127 in each of 65,536 k, and the level whose instruction would saturate.
TEST(CompactLinear, TheLongestSumsDoNotOverflow) {
  const int64_t k = kMaxCompactDepth;
  Tensor x = Tensor::F32({2, k}), weight = Tensor::F32({2, k});
  for (int64_t i = 0; i < k; ++i) {
    x.row(0)[i] = 1;
    x.row(1)[i] = -1;
    weight.row(0)[i] = 1;
    weight.row(1)[i] = -1;
  }
  const LinearWeights packed = Pack(weight, {}, WeightKind::kInt8);
  for (const CpuLevel level : CpuLevels()) {
    if (level > BestCpuLevel()) continue;
    const Tensor y = Product(x, packed, level);
    EXPECT_NEAR(y.row(0)[0], k, 1) << CpuLevelName(level);
    EXPECT_NEAR(y.row(0)[1], -k, 1) << CpuLevelName(level);
    EXPECT_NEAR(y.row(1)[0], -k, 1) << CpuLevelName(level);
    EXPECT_NEAR(y.row(1)[1], k, 1) << CpuLevelName(level);
  }
}

// Sums of a group of four bits in 16 bits: −8·15 and 7·15 are the largest weights, and signs that agree within each half of four k, or nowhere.
TEST(CompactLinear, TheLargestSumsOfFourBitsFit) {
  const int64_t k = 512;
  Tensor x = Tensor::F32({5, k}), weight = Tensor::F32({3, k});
  for (int64_t i = 0; i < k; ++i) {
    const float halves = i % 4 < 2 ? 1.0F : -1.0F;
    for (int64_t r = 0; r < 5; ++r)
      x.row(r)[i] = r == 0   ? 1.0F
                    : r == 1 ? -1.0F
                    : r == 2 ? halves
                    : r == 3 ? -halves
                             : i % 2 * 2.0F - 1;
    weight.row(0)[i] = -120;
    weight.row(1)[i] = 105;
    weight.row(2)[i] = i % 4 < 2 ? -120.0F : 105.0F;
  }
  const LinearWeights packed = Pack(weight, {}, WeightKind::kInt4);
  const Tensor want = Product(x, packed, CpuLevel::kScalar);
  EXPECT_NEAR(want.row(1)[0], 120 * k, 0.1 * 120 * k);
  for (const CpuLevel level : CpuLevels()) {
    if (level > BestCpuLevel()) continue;
    for (int64_t rows = 1; rows <= 5; ++rows)
      EXPECT_TRUE(
          SameBits(Product(x.view().Rows(0, rows), packed, level), want.view().Rows(0, rows)))
          << CpuLevelName(level) << ", " << rows << " rows";
  }
}

TEST(CompactWeights, WhatTheKindCanExpressIsKept) {
  Numbers numbers(7);
  Tensor weight = Tensor::F32({70, 96});
  for (int64_t n = 0; n < 70; ++n) {
    for (int64_t k = 0; k < 96; ++k) {
      const int factor = k / 32 == 0 ? 15 : k / 32 == 1 ? 3 : 7;
      const auto q = static_cast<int>(numbers.Uniform() * 14) - 7;
      weight.row(n)[k] = static_cast<float>(k % 32 == 0 ? 7 * factor : q * factor) / 256.0F;
    }
  }
  for (const WeightKind kind : kCompact) {
    const Tensor kept = Unpacked(Pack(weight, {}, kind));
    for (int64_t i = 0; i < 70 * 96; ++i)
      ASSERT_NEAR(kept.f32()[i], weight.f32()[i], kind == WeightKind::kInt8 ? 0.0017 : 1e-6)
          << WeightKindName(kind) << " element " << i;
  }
}

// Roots of mean squares of what is lost, of normal numbers: 2⁻⁹/√3·… for bf16, a 254th part of the largest of 512 for int8, and for int4 what
// scales of 16 bits per 32 (GGUF's Q4_0: 0.0865 by its own rounding) lose.
TEST(CompactWeights, LoseNoMoreThanTheirBitsExplain) {
  Numbers numbers(8);
  const Tensor weight = RandomTensor({128, 512}, numbers);
  const auto loss = [&](WeightKind kind) {
    const Tensor kept = Unpacked(Pack(weight, {}, kind));
    double squares = 0;
    for (int64_t i = 0; i < 128 * 512; ++i) squares += std::pow(kept.f32()[i] - weight.f32()[i], 2);
    return std::sqrt(squares / (128 * 512));
  };
  EXPECT_LT(loss(WeightKind::kBf16), 0.0018);
  EXPECT_LT(loss(WeightKind::kInt8), 0.0080);
  EXPECT_LT(loss(WeightKind::kInt4), 0.0900);
}

TEST(CompactWeights, TheMemoryPlanIsWhatIsAllocated) {
  Numbers numbers(9);
  for (const WeightKind kind : kCompact) {
    for (const auto& [n, k] :
         {std::pair<int64_t, int64_t>{1, 1}, {64, 512}, {65, 513}, {331, 1100}}) {
      const Tensor weight = RandomTensor({n, k}, numbers), bias = RandomTensor({n}, numbers);
      EXPECT_EQ(Pack(weight, bias, kind).bytes(), PackedLinearBytes(n, k, kind))
          << WeightKindName(kind) << " " << n << " × " << k;
    }
  }
}

TEST(CompactWeights, StackedScaledAndReorderedRowsArePackedAsSuch) {
  Numbers numbers(10);
  const Tensor a = RandomTensor({8, 64}, numbers), b = RandomTensor({3, 64}, numbers);
  Tensor want = Tensor::F32({11, 64});
  for (int64_t r = 0; r < 11; ++r) {
    const RowOrder order{.interleaved_head = 4};
    for (int64_t k = 0; k < 64; ++k)
      want.row(r)[k] = r < 8 ? a.row(order.Stored(r))[k] : b.row(r - 8)[k] * 0.5F;
  }
  Exec ex(1);
  for (const WeightKind kind : kCompact) {
    const LinearWeights stacked =
        PackLinear(ex,
                   {{.weight = a, .bias = {}, .order = {.interleaved_head = 4}},
                    {.weight = b, .bias = {}, .scale = 0.5F}},
                   kind);
    EXPECT_TRUE(SameBits(Unpacked(stacked), Unpacked(Pack(want, {}, kind))));
  }
}

TEST(CpuLevels, HaveNamesAndAnOrder) {
  for (const CpuLevel level : CpuLevels()) EXPECT_EQ(CpuLevelNamed(CpuLevelName(level)), level);
  EXPECT_EQ(CpuLevelNamed("sse9"), std::nullopt);
  EXPECT_EQ(Exec(1, CpuLevel::kScalar).cpu_level(), CpuLevel::kScalar);
  EXPECT_LE(Exec(1, CpuLevel::kAmx).cpu_level(), BestCpuLevel()) << "no more than there is";
}

}  // namespace
}  // namespace binocle
