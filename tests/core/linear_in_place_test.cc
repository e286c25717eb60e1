// Linear with weights in block types, which stay where they are stored, against the same values packed.
#include <gtest/gtest.h>

#include "core/convert.h"
#include "core/ops/linear.h"
#include "core/ops/linear_ref.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomBlocks;
using testing::RandomTensor;
using testing::SameBits;

// The rows of a stored matrix as f32, in the order of the part.
Tensor Expanded(const TensorView& stored, const RowOrder& order = {}) {
  Tensor out = Tensor::F32(stored.shape(), "expanded");
  for (int64_t r = 0; r < stored.dim(0); ++r)
    ReadAsF32(stored, order.Stored(r) * stored.dim(1), stored.dim(1), out.row(r));
  return out;
}

struct InPlaceCase {
  DType dtype;
  int64_t rows, n, k;
};

std::string InPlaceCaseName(const ::testing::TestParamInfo<InPlaceCase>& info) {
  return internal::Concat(DTypeName(info.param.dtype), '_', info.param.rows, '_', info.param.n, '_',
                          info.param.k);
}

class LinearInPlaceShapes : public ::testing::TestWithParam<InPlaceCase> {};

// One block, edges of panels (64), depth blocks (128), stripes (256) and planned row counts (128), and their neighbours.
INSTANTIATE_TEST_SUITE_P(
    Awkward, LinearInPlaceShapes,
    ::testing::Values(InPlaceCase{DType::kQ40, 1, 1, 32}, InPlaceCase{DType::kQ41, 2, 63, 96},
                      InPlaceCase{DType::kQ50, 3, 65, 160}, InPlaceCase{DType::kQ51, 7, 191, 288},
                      InPlaceCase{DType::kQ80, 31, 17, 544}, InPlaceCase{DType::kQ4K, 1, 64, 256},
                      InPlaceCase{DType::kQ5K, 13, 70, 768}, InPlaceCase{DType::kQ6K, 5, 131, 512},
                      InPlaceCase{DType::kQ40, 127, 20, 576},
                      InPlaceCase{DType::kQ4K, 128, 64, 256},
                      InPlaceCase{DType::kQ41, 161, 67, 224},
                      InPlaceCase{DType::kQ6K, 259, 9, 512}),
    InPlaceCaseName);

TEST_P(LinearInPlaceShapes, EqualsThePackedValuesAndTheScalarDefinitionBitForBit) {
  const auto [dtype, rows, n, k] = GetParam();
  Numbers numbers(static_cast<uint64_t>(rows * 1000 + n));
  const Tensor x = RandomTensor({rows, k}, numbers);
  const Tensor stored = RandomBlocks(dtype, {n, k}, numbers);
  const Tensor bias = RandomTensor({n}, numbers);
  const Tensor values = Expanded(stored);
  const Tensor start = RandomTensor({rows, n}, numbers);
  const Tensor defined = Tensor::F32({rows, n}, "y");
  LinearRef(x, values, bias, defined);
  for (const int threads : {1, 2}) {
    Exec ex(threads);
    const LinearWeights in_place = PackLinear(ex, {{.weight = stored, .bias = bias}});
    const LinearWeights packed = PackLinear(ex, {{.weight = values, .bias = bias}});
    ASSERT_TRUE(in_place.packed.empty());
    Tensor got = Tensor::F32({rows, n}, "y"), want = got.Clone();
    Linear(ex, x, in_place, got);
    Linear(ex, x, packed, want);
    EXPECT_TRUE(SameBits(got, want)) << threads << " threads";
    EXPECT_TRUE(SameBits(got, defined)) << threads << " threads";
    got = start.Clone();
    want = start.Clone();
    LinearAdd(ex, x, in_place, got);
    LinearAdd(ex, x, packed, want);
    EXPECT_TRUE(SameBits(got, want)) << threads << " threads, added";
  }
}

TEST(LinearInPlace, PartsOfSeveralTypesAreStackedInTheirOwnOrders) {
  Numbers numbers(1);
  const int64_t k = 256, head = 24;
  const RowOrder order{.interleaved_head = head};
  const Tensor q = RandomBlocks(DType::kQ4K, {4 * head, k}, numbers);
  const Tensor key = RandomBlocks(DType::kQ80, {2 * head, k}, numbers);
  const Tensor value = RandomTensor({2 * head, k}, numbers);
  const Tensor q_bias = RandomTensor({4 * head}, numbers);
  const Tensor key_bias = RandomTensor({2 * head}, numbers);
  const Tensor value_bias = RandomTensor({2 * head}, numbers);
  Exec ex(2);
  const LinearWeights in_place = PackLinear(ex, {{.weight = q, .bias = q_bias, .order = order},
                                                 {.weight = key, .bias = key_bias, .order = order},
                                                 {.weight = value, .bias = value_bias}});
  EXPECT_TRUE(in_place.packed.empty()) << "one part in blocks keeps all in place";
  const Tensor q_values = Expanded(q), key_values = Expanded(key);
  const LinearWeights packed =
      PackLinear(ex, {{.weight = q_values, .bias = q_bias, .order = order},
                      {.weight = key_values, .bias = key_bias, .order = order},
                      {.weight = value, .bias = value_bias}});
  EXPECT_FALSE(packed.packed.empty());
  const Tensor x = RandomTensor({6, k}, numbers);
  Tensor got = Tensor::F32({6, 8 * head}, "y"), want = got.Clone();
  Linear(ex, x, in_place, got);
  Linear(ex, x, packed, want);
  EXPECT_TRUE(SameBits(got, want));
  // Every part by itself, with its rows put in order beforehand.
  const Tensor key_ordered = Expanded(key, order);
  Tensor bias_ordered = key_bias.Clone();
  for (int64_t r = 0; r < 2 * head; ++r) bias_ordered.f32()[r] = key_bias.f32()[order.Stored(r)];
  Tensor alone = Tensor::F32({6, 2 * head}, "keys");
  Linear(ex, x, PackLinear(ex, {{.weight = key_ordered, .bias = bias_ordered}}), alone);
  EXPECT_TRUE(SameBits(got.view().Columns(4 * head, 6 * head), alone));
}

TEST(LinearInPlace, RowsOfInputAndOutputMayBeStridedAndDoNotDependOnEachOther) {
  Numbers numbers(2);
  const Tensor wide = RandomTensor({40, 400}, numbers);
  const Tensor stored = RandomBlocks(DType::kQ51, {65, 288}, numbers);
  Exec ex(2);
  const LinearWeights w = PackLinear(ex, {{.weight = stored, .bias = {}}});
  Tensor out = Tensor::F32({40, 200}, "y");
  Linear(ex, wide.view().Columns(20, 308), w, out.view().Columns(100, 165));
  EXPECT_EQ(out.row(3)[99], 0) << "the neighbours of a strided output are left alone";
  EXPECT_EQ(out.row(3)[165], 0);
  Tensor single = Tensor::F32({1, 65}, "y");
  Linear(ex, wide.view().Columns(20, 308).Rows(17, 18), w, single);
  EXPECT_TRUE(SameBits(single, out.view().Columns(100, 165).Rows(17, 18)));
}

// Each part by a factor of its own, once: the same bits as values that were multiplied beforehand.
TEST(LinearInPlace, ScaledPartsAreThatOfScaledValues) {
  Numbers numbers(4);
  const int64_t k = 288, n[] = {70, 9};
  const float scale[] = {0.22F, -3};
  for (const bool blocks : {true, false}) {
    std::vector<Tensor> stored, bias, values, biases;
    std::vector<StoredLinear> scaled, plain;
    for (int i = 0; i < 2; ++i) {
      stored.push_back(blocks ? RandomBlocks(DType::kQ80, {n[i], k}, numbers)
                              : RandomTensor({n[i], k}, numbers));
      bias.push_back(RandomTensor({n[i]}, numbers));
      values.push_back(Expanded(stored.back()));
      biases.push_back(bias.back().Clone());
      for (Tensor* t : {&values.back(), &biases.back()})
        for (int64_t j = 0; j < t->view().elements(); ++j) t->f32()[j] *= scale[i];
      scaled.push_back(
          {.weight = stored.back(), .bias = bias.back(), .order = {}, .scale = scale[i]});
      plain.push_back({.weight = values.back(), .bias = biases.back()});
    }
    Exec ex(2);
    const Tensor x = RandomTensor({5, k}, numbers);
    const Tensor got = Tensor::F32({5, n[0] + n[1]}, "y"), want = got.Clone();
    const LinearWeights weights = PackLinear(ex, scaled);
    EXPECT_EQ(weights.packed.empty(), blocks);
    Linear(ex, x, weights, got);
    Linear(ex, x, PackLinear(ex, plain), want);
    EXPECT_TRUE(SameBits(got, want)) << (blocks ? "in place" : "packed");
  }
}

TEST(LinearInPlace, NothingIsAllocatedButTheBias) {
  Numbers numbers(3);
  Exec ex(1);
  const Tensor stored = RandomBlocks(DType::kQ4K, {70, 512}, numbers);
  const Tensor bias = RandomTensor({70}, numbers);
  EXPECT_EQ(PackLinear(ex, {{.weight = stored, .bias = bias}}).bytes(), 4 * 70);
  EXPECT_EQ(PackLinear(ex, {{.weight = stored, .bias = {}}}).bytes(), 0);
}

// llama.cpp's converter makes of rows [heads, 2, d/2] rows [heads, d/2, 2].
TEST(RowOrder, UndoesTheInterleavingOfHalves) {
  constexpr int64_t kHeads = 3, kHalf = 4;
  const RowOrder order{.interleaved_head = 2 * kHalf};
  for (int64_t head = 0; head < kHeads; ++head) {
    for (int64_t half = 0; half < 2; ++half) {
      for (int64_t j = 0; j < kHalf; ++j)
        EXPECT_EQ(order.Stored((head * 2 + half) * kHalf + j), (head * kHalf + j) * 2 + half);
    }
  }
  EXPECT_EQ(RowOrder{}.Stored(5), 5);
}

}  // namespace
}  // namespace binocle
