// Rows that are rounded by the op that makes them: what comes of them is what comes of rows of f32, to the last bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/ops/linear_activate.h"
#include "core/ops/norm.h"
#include "core/ops/product_rows.h"
#include "core/ops/swiglu.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

struct TwoProducts {
  LinearWeights first, second;
};

TwoProducts Random(Exec& ex, int64_t n, int64_t k, int64_t out, WeightKind kind, Numbers& numbers) {
  const Tensor a = RandomTensor({n, k}, numbers), bias = RandomTensor({n}, numbers);
  const Tensor b = RandomTensor({out, n}, numbers);
  return {PackLinear(ex, {{.weight = a, .bias = bias}}, kind),
          PackLinear(ex, {{.weight = b, .bias = {}}}, kind)};
}

std::vector<CpuLevel> Levels() {
  std::vector<CpuLevel> levels;
  for (int64_t level = 0; level <= static_cast<int64_t>(BestCpuLevel()); ++level)
    levels.push_back(static_cast<CpuLevel>(level));
  return levels;
}

constexpr WeightKind kKinds[] = {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8,
                                 WeightKind::kInt4};
// Of one row, of few, of several blocks of sums; few panels and many.
struct ProductShape {
  int64_t rows, n, k;
};
constexpr ProductShape kProducts[] = {{1, 64, 40}, {3, 704, 96}, {40, 192, 64}, {300, 640, 128}};

DType TypeInto(WeightKind kind) {
  if (kind == WeightKind::kF32) return DType::kF32;
  return kind == WeightKind::kBf16 ? DType::kBF16 : DType::kU8;
}

TEST(ProductRows, HaveTheTypeOfTheirWeights) {
  Exec ex(1);
  Numbers numbers(1);
  Tensor rows = Tensor::F32({5, 128});
  for (const WeightKind kind : kKinds) {
    const TwoProducts w = Random(ex, 128, 64, 8, kind, numbers);
    const DType want = kind == WeightKind::kBf16 ? DType::kBF16 : DType::kF32;
    EXPECT_EQ(RowsInto(w.second, rows).dtype(), TypeInto(kind)) << WeightKindName(kind);
    EXPECT_EQ(RowsBetween(w.first, w.second, rows).dtype(), want) << WeightKindName(kind);
  }
  const TwoProducts wide = Random(ex, 100, 64, 8, WeightKind::kBf16, numbers);
  EXPECT_EQ(RowsInto(wide.second, Tensor::F32({5, 100})).dtype(), DType::kF32);
  const TwoProducts f32 = Random(ex, 128, 64, 8, WeightKind::kF32, numbers);
  const TwoProducts bf16 = Random(ex, 128, 64, 8, WeightKind::kBf16, numbers);
  EXPECT_EQ(RowsBetween(f32.first, bf16.second, rows).dtype(), DType::kF32);
  EXPECT_DEATH(Linear(ex, RowsInto(bf16.second, rows), f32.second, Tensor::F32({5, 8})),
               "bf16 beside weights of f32");
}

// Queries in bytes and keys in blocks, say: both take f32.
TEST(ProductRows, OfTwoTakersAreWhatBothTake) {
  Exec ex(1);
  Numbers numbers(1);
  Tensor rows = Tensor::F32({5, 128});
  for (const WeightKind kind : kKinds) {
    for (const WeightKind other : kKinds) {
      const TwoProducts w = Random(ex, 128, 64, 8, kind, numbers);
      const TwoProducts v = Random(ex, 128, 64, 8, other, numbers);
      const DType want = TypeInto(kind) == TypeInto(other) ? TypeInto(kind) : DType::kF32;
      EXPECT_EQ(RowsInto(w.second, v.second, rows).dtype(), want)
          << WeightKindName(kind) << " " << WeightKindName(other);
    }
  }
}

TEST(ProductRows, StayInTheirMemory) {
  Exec ex(1);
  Numbers numbers(1);
  for (const WeightKind kind : kKinds) {
    const TwoProducts w = Random(ex, 64, 64, 8, kind, numbers);
    Tensor memory = Tensor::F32({7, 64});
    const TensorView rows = RowsInto(w.second, memory);
    const int64_t bytes = (rows.stride(0) * 6 + 64) * DTypeSize(rows.dtype());
    EXPECT_EQ(rows.data(), memory.f32());
    EXPECT_LE(bytes + (kind == WeightKind::kF32 ? 0 : kRowGapBytes), memory.bytes());
  }
}

TEST(ProductRows, OfAnActivation) {
  Numbers numbers(2);
  for (const CpuLevel level : Levels()) {
    Exec ex(2, level);
    for (const WeightKind kind : kKinds) {
      for (const ProductShape& shape : kProducts) {
        const TwoProducts w = Random(ex, shape.n, shape.k, 70, kind, numbers);
        const Tensor x = RandomTensor({shape.rows, shape.k}, numbers);
        Tensor wide = Tensor::F32({shape.rows, shape.n}), memory = Tensor::F32(wide.view().shape());
        Tensor want = Tensor::F32({shape.rows, 70}), got = Tensor::F32({shape.rows, 70});
        LinearActivate(ex, x, w.first, Activation::kGelu, wide);
        Linear(ex, wide, w.second, want);
        const TensorView rows = RowsBetween(w.first, w.second, memory);
        LinearActivate(ex, x, w.first, Activation::kGelu, rows);
        Linear(ex, rows, w.second, got);
        EXPECT_TRUE(SameBits(got, want)) << WeightKindName(kind) << " " << shape.rows;
      }
    }
  }
}

TEST(ProductRows, OfSwiGlu) {
  Numbers numbers(3);
  for (const CpuLevel level : Levels()) {
    Exec ex(2, level);
    for (const WeightKind kind : kKinds) {
      for (const ProductShape& shape : kProducts) {
        const LinearWeights gate_up =
            PackLinear(ex, {{RandomTensor({2 * shape.n, shape.k}, numbers), {}}}, kind);
        const LinearWeights down =
            PackLinear(ex, {{RandomTensor({70, shape.n}, numbers), {}}}, kind);
        const Tensor x = RandomTensor({shape.rows, shape.k}, numbers);
        Tensor wide = Tensor::F32({shape.rows, shape.n}), memory = Tensor::F32(wide.view().shape());
        Tensor between = Tensor::F32({shape.rows, 2 * shape.n});
        Tensor want = RandomTensor({shape.rows, 70}, numbers), got = want.Clone();
        SwiGlu(ex, x, gate_up, between, wide);
        LinearAdd(ex, wide, down, want);
        const TensorView rows = RowsBetween(gate_up, down, memory);
        SwiGlu(ex, x, gate_up, between, rows);
        LinearAdd(ex, rows, down, got);
        EXPECT_TRUE(SameBits(got, want)) << WeightKindName(kind) << " " << shape.rows;
      }
    }
  }
}

TEST(ProductRows, OfNorms) {
  Numbers numbers(4);
  constexpr int64_t kWidth = 192;
  const RmsNormWeights rms{.weight = RandomTensor({kWidth}, numbers)};
  const LayerNormWeights layer{.weight = RandomTensor({kWidth}, numbers),
                               .bias = RandomTensor({kWidth}, numbers)};
  for (const CpuLevel level : Levels()) {
    Exec ex(2, level);
    for (const WeightKind kind : kKinds) {
      const LinearWeights w = PackLinear(ex, {{RandomTensor({70, kWidth}, numbers), {}}}, kind);
      for (const int64_t count : {1, 8, 33, 300}) {
        Tensor x = RandomTensor({count, kWidth}, numbers);
        std::fill_n(x.row(count / 2), kWidth, 0.F);  // has no scale
        Tensor wide = Tensor::F32({count, kWidth}), memory = Tensor::F32({count, kWidth});
        Tensor want = Tensor::F32({count, 70}), got = Tensor::F32({count, 70});
        const auto same = [&](const auto& norm) {
          norm(wide);
          Linear(ex, wide, w, want);
          const TensorView rows = RowsInto(w, memory);
          norm(rows);
          Linear(ex, rows, w, got);
          return SameBits(got, want);
        };
        const auto what = [&] {
          return std::string(WeightKindName(kind)) + " " + std::to_string(count);
        };
        EXPECT_TRUE(same([&](const TensorView& out) { RmsNorm(ex, x, rms, out); })) << what();
        EXPECT_TRUE(same([&](const TensorView& out) { LayerNorm(ex, x, layer, out); })) << what();
      }
    }
  }
}

}  // namespace
}  // namespace binocle
