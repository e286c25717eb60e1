// What comes before and after attention on the device: keys and values into pages, factors on heads, maps.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_ref.h"
#include "attention/device_kv_cuda.h"
#include "core/ops/rope.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::NoReports;

simt::Array<float> Copy(const char* name, const Tensor& t) {
  return {name, std::vector<float>(t.f32(), t.f32() + t.view().elements())};
}
float AsFloat(float x) { return x; }
float AsFloat(Bf16 x) { return F32FromBf16(x.bits); }

// Weights of every head, summed over rows that see the same keys; under a gain.
template <typename Element>
void ExpectMapsOfTheWeights(DType dtype, int64_t rows, int32_t first_key) {
  constexpr int32_t kKeys = 221, kHeads = 6;
  testing::Numbers numbers(1);
  std::vector<float> gain(256, 0);
  for (size_t j = 0; j < kKeys; ++j) gain[j] = numbers.Normal(0.5F);
  Problem p({.heads = kHeads, .kv_heads = 2, .d = 40, .kv_dtype = dtype}, {{rows, kKeys}}, 5);
  p.runs[0].variant = KeyGain{gain, {}};
  p.runs[0].first_key = first_key;
  const AttentionArgs args = p.args(Mask::kNone);
  const DeviceProblem<Element> device(p, args);
  std::vector<float> lse;
  std::vector<double> want(size_t{kHeads} * kKeys, 0);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t head = 0; head < kHeads; ++head) {
      double of_head = 0;
      const std::vector<double> weights = WeightsRef(args, p.runs[0], row, head, &of_head);
      lse.push_back(static_cast<float>(of_head));
      for (size_t j = 0; j < kKeys; ++j) want[static_cast<size_t>(head) * kKeys + j] += weights[j];
    }
  }
  const simt::Array<float> device_gain("gain", gain), device_lse("lse", lse),
      maps("maps", want.size());
  const simt::Array<int32_t> pages(
      "pages", std::vector<int32_t>(p.runs[0].pages.begin(), p.runs[0].pages.end()));
  cuda::MapsOfHeads(cuda::MapWork<Element>{.shape = device.shape(),
                                           .q = device.q.data(),
                                           .q_stride = kHeads * 40,
                                           .rows = static_cast<int32_t>(rows),
                                           .kv = {device.keys.data(), device.values.data()},
                                           .pages = pages.data(),
                                           .first_key = first_key,
                                           .end_key = kKeys,
                                           .policy = {.kind = cuda::ScoreKind::kKeyGain,
                                                      .by_key = device_gain.data()},
                                           .lse = device_lse.data(),
                                           .maps = maps.data()},
                    nullptr);
  EXPECT_TRUE(NoReports());
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(maps[i], want[i], 2e-6 * static_cast<double>(rows))
        << i / kKeys << ' ' << i % kKeys;
}

TEST(Maps, AreTheWeightsThatMadeTheOutput) {
  ExpectMapsOfTheWeights<float>(DType::kF32, 1, 70);
  ExpectMapsOfTheWeights<Bf16>(DType::kBF16, 1, 0);
  ExpectMapsOfTheWeights<float>(DType::kF32, 5, 0);
}

// Rows of k and v in their pages, rotated on the way or as they are, beside core/ops/rope.h.
template <typename Element>
void ExpectInTheirSlots(bool rotate) {
  constexpr int64_t kRows = 5, kHeads = 2, kDim = 24;
  testing::Numbers numbers(4);
  const Tensor k = testing::RandomTensor({kRows, kHeads * kDim + 4}, numbers);
  const Tensor v = testing::RandomTensor({kRows, kHeads * kDim}, numbers);
  const std::vector<int32_t> positions = {0, 9, 3, 30, 1}, slots = {64, 3, 0, 127, 65};
  const RopeTable table = RopeTable::Make(kDim, {}, 32);
  Tensor rotated = k.Clone();
  Exec ex(1);
  if (rotate) Rope(ex, table, positions, rotated.view().Columns(0, kHeads * kDim));
  const auto device_k = Copy("k", k), device_v = Copy("v", v), c = Copy("cos", table.cos),
             s = Copy("sin", table.sin);
  const simt::Array<int32_t> device_positions("positions", positions), device_slots("slots", slots);
  const simt::Array<Element> keys("keys", 2 * kHeads * 64 * 32),
      values("values", 2 * kHeads * 64 * 32);
  cuda::RopeAndWriteKv(
      cuda::RopeKvWork<Element>{
          .kv = {.shape = {.kv_heads = kHeads, .head_dim = kDim, .kv_row = 32},
                 .k = device_k.data(),
                 .v = device_v.data(),
                 .k_stride = kHeads * kDim + 4,
                 .v_stride = kHeads * kDim,
                 .slots = device_slots.data(),
                 .rows = kRows,
                 .cos = rotate ? c.data() : nullptr,
                 .sin = rotate ? s.data() : nullptr,
                 .positions = rotate ? device_positions.data() : nullptr},
          .keys = keys.data(),
          .values = values.data()},
      nullptr);
  EXPECT_TRUE(NoReports());
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kHeads * 32; ++i) {
      const int64_t slot = slots[static_cast<size_t>(row)], head = i / 32, dim = i % 32;
      const auto at =
          static_cast<size_t>(((slot / 64 * kHeads + head) * 64 + slot % 64) * 32 + dim);
      const float key = dim < kDim ? rotated.row(row)[head * kDim + dim] : 0,
                  value = dim < kDim ? v.row(row)[head * kDim + dim] : 0;
      EXPECT_NEAR(AsFloat(keys[at]), key, sizeof(Element) == 4 ? 1e-6 : std::abs(key) / 256);
      EXPECT_EQ(AsFloat(values[at]), AsFloat(testing::ToElement<Element>(value)));
    }
  }
}

TEST(WriteKv, PutsKeysAndValuesIntoTheirSlots) {
  for (const bool rotate : {false, true}) {
    ExpectInTheirSlots<float>(rotate);
    ExpectInTheirSlots<Bf16>(rotate);
  }
}

// Queries beside them: in place in f32, scaled and rounded in bf16; of many heads, so that a row is several blocks.
template <typename Element>
void ExpectQueriesRotated() {
  constexpr int64_t kRows = 3, kHeads = 10, kKvHeads = 2, kDim = 32;
  testing::Numbers numbers(5);
  const Tensor qkv = testing::RandomTensor({kRows, (kHeads + 2 * kKvHeads) * kDim}, numbers);
  const std::vector<int32_t> positions = {31, 0, 7}, slots = {1, 64, 63};
  const RopeTable table = RopeTable::Make(kDim, {}, 32);
  const auto device_qkv = simt::Array<float>::Writable(
      "qkv", std::vector<float>(qkv.f32(), qkv.f32() + qkv.view().elements()));
  const auto c = Copy("cos", table.cos), s = Copy("sin", table.sin);
  const simt::Array<int32_t> device_positions("positions", positions), device_slots("slots", slots);
  const simt::Array<Element> keys("keys", 2 * kKvHeads * 64 * kDim),
      values("values", 2 * kKvHeads * 64 * kDim), out("rotated", kRows * kHeads * kDim);
  constexpr bool kInPlace = sizeof(Element) == 4;
  cuda::RopeKvWork<Element> work{.kv = {.shape = {.heads = kHeads,
                                                  .kv_heads = kKvHeads,
                                                  .group = kHeads / kKvHeads,
                                                  .head_dim = kDim,
                                                  .kv_row = kDim},
                                        .k = device_qkv.data() + kHeads * kDim,
                                        .v = device_qkv.data() + (kHeads + kKvHeads) * kDim,
                                        .k_stride = qkv.dim(1),
                                        .v_stride = qkv.dim(1),
                                        .slots = device_slots.data(),
                                        .rows = kRows,
                                        .cos = c.data(),
                                        .sin = s.data(),
                                        .positions = device_positions.data()},
                                 .keys = keys.data(),
                                 .values = values.data(),
                                 .q = device_qkv.data(),
                                 .q_stride = qkv.dim(1),
                                 .rotated = out.data(),
                                 .rotated_stride = kHeads * kDim,
                                 .scale = kInPlace ? 1 : 0.3F};
  if constexpr (kInPlace) {
    work.rotated = device_qkv.data();
    work.rotated_stride = qkv.dim(1);
  }
  cuda::RopeAndWriteKv(work, nullptr);
  EXPECT_TRUE(NoReports());
  Exec ex(1);
  Rope(ex, table, positions, qkv.view().Columns(0, (kHeads + kKvHeads) * kDim));
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kHeads * kDim; ++i) {
      const float want = work.scale * qkv.row(row)[i];
      const auto at = static_cast<size_t>(row * work.rotated_stride + i);
      const float got = kInPlace ? device_qkv[at] : AsFloat(out[at]);
      EXPECT_NEAR(got, want, kInPlace ? 1e-6 : std::abs(want) / 256);
    }
    const int64_t slot = slots[static_cast<size_t>(row)];
    for (int64_t i = 0; i < kKvHeads * kDim; ++i) {
      const auto at = static_cast<size_t>(
          ((slot / 64 * kKvHeads + i / kDim) * 64 + slot % 64) * kDim + i % kDim);
      const float want = qkv.row(row)[kHeads * kDim + i];
      EXPECT_NEAR(AsFloat(keys[at]), want, kInPlace ? 1e-6 : std::abs(want) / 256);
    }
  }
}

TEST(RopeAndWriteKv, RotatesQueriesBesideKeys) {
  ExpectQueriesRotated<float>();
  ExpectQueriesRotated<Bf16>();
}

TEST(HeadFactors, AreThoseOfTheRowAndHead) {
  constexpr int32_t kRows = 3, kHeads = 6, kKvHeads = 2, kDim = 24;
  testing::Numbers numbers(2);
  const Tensor z = testing::RandomTensor({kRows, kHeads * kDim}, numbers),
               v = testing::RandomTensor({kRows, 2 * kKvHeads * kDim}, numbers),
               factor = testing::RandomTensor({kRows, kHeads}, numbers);
  factor.f32()[4] = 1;
  factor.f32()[9] = 0;
  const auto device_v = Copy("v", v), device_factor = Copy("factor", factor);
  const auto as_vector = std::vector<float>(z.f32(), z.f32() + z.view().elements());
  const auto gated = simt::Array<float>::Writable("gated", as_vector),
             mixed = simt::Array<float>::Writable("mixed", as_vector);
  const cuda::AttentionShape shape{
      .heads = kHeads, .kv_heads = kKvHeads, .group = kHeads / kKvHeads, .head_dim = kDim};
  cuda::GateHeads(shape, kRows, device_factor.data(), gated.data(), nullptr);
  cuda::MixOwnValue({shape, kRows, device_factor.data(), device_v.data(), 2 * kKvHeads * kDim},
                    mixed.data(), nullptr);
  EXPECT_TRUE(NoReports());
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kHeads * kDim; ++i) {
      const int64_t head = i / kDim;
      const float f = factor.row(row)[head], x = z.row(row)[i];
      const float own = v.row(row)[head / (kHeads / kKvHeads) * kDim + i % kDim];
      const auto at = static_cast<size_t>(row * kHeads * kDim + i);
      EXPECT_EQ(gated[at], f * x) << row << ' ' << i;
      EXPECT_NEAR(mixed[at], x + f * own, 1e-6) << row << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace binocle
