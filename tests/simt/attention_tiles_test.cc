// The attention kernels against the explicit matrix, at awkward shapes, in several schedules. O to the precision of bf16 weights, LSE to 1e-4: a wrong
// tail shows there first.
#include <gtest/gtest.h>

#include "attention/attention_ref.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::NoReports;
using testing::Within;

// Weights pass as bf16: 2⁻⁹ of values that are a few units large.
constexpr double kBf16Out = 1.5e-2;
constexpr double kF32Out = 2e-5;
constexpr double kLse = 1e-4;
// A power of two, so that the reference, which rounds scale·q to bf16, changes nothing.
constexpr float kScale = 0.125F;

struct Shape {
  int64_t heads, kv_heads, d;
  std::vector<std::pair<int64_t, int64_t>> rows_and_keys;
};

Problem MakeProblem(const Shape& shape, DType kv_dtype, uint64_t seed) {
  Problem p({.heads = shape.heads, .kv_heads = shape.kv_heads, .d = shape.d, .kv_dtype = kv_dtype},
            shape.rows_and_keys, seed);
  testing::RoundQueries(p);
  return p;
}

AttentionArgs ScaledArgs(const Problem& p, Mask mask) {
  AttentionArgs args = p.args(mask);
  args.scale = kScale;
  return args;
}

PlanRequest RequestOf(const Problem& p, const AttentionArgs& args) {
  return {.runs = args.runs,
          .heads = p.heads,
          .kv_heads = args.kv.kv_heads,
          .mask = args.mask,
          .window = args.window};
}

template <typename Element, typename Attend>
void ExpectEqualsTheMatrix(const Problem& p, const AttentionArgs& args, double tolerance,
                           const Attend& attend) {
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(args, want, want_lse);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  DeviceProblem<Element> device(p, args);
  device.Solve(plan, {cuda::TilePolicy{}}, attend);
  EXPECT_TRUE(NoReports());
  EXPECT_TRUE(Within(device.out.span(), want, tolerance, "out"));
  EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
}

void Tiles(const cuda::AttentionWork<Bf16>& work) { cuda::AttendTiles(work, nullptr); }
template <typename Element>
void Rows(const cuda::AttentionWork<Element>& work) {
  cuda::AttendRows(work, nullptr);
}

class AttentionKernels : public ::testing::TestWithParam<Shape> {};

// Every width of kernel and widths between; one key, page edges ± 1, parts ± 1, grouped queries that fill a tile and that do not; ragged batches.
INSTANTIATE_TEST_SUITE_P(
    Awkward, AttentionKernels,
    ::testing::Values(Shape{1, 1, 64, {{1, 1}}}, Shape{2, 1, 32, {{5, 5}, {40, 103}}},
                      Shape{6, 2, 80, {{1, 64}, {1, 65}, {3, 63}, {33, 129}}},
                      Shape{2, 2, 96, {{65, 65}, {1, 257}}},
                      Shape{8, 1, 128, {{9, 200}, {1, 7}, {1, 256}}},
                      Shape{1, 1, 72, {{64, 64}, {63, 127}}}, Shape{3, 3, 24, {{17, 70}, {1, 1}}},
                      Shape{24, 1, 40, {{3, 90}, {1, 513}}}, Shape{64, 1, 32, {{2, 66}}}));

TEST_P(AttentionKernels, TilesEqualTheExplicitMatrixCausalAndNot) {
  for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
    for (const uint64_t schedule : {1, 2}) {
      const Problem p = MakeProblem(GetParam(), DType::kBF16, 11);
      simt::SetSchedule(schedule);
      ExpectEqualsTheMatrix<Bf16>(p, ScaledArgs(p, mask), kBf16Out, Tiles);
    }
  }
}

TEST_P(AttentionKernels, RowsEqualTheExplicitMatrixInF32) {
  const Problem p = MakeProblem(GetParam(), DType::kF32, 12);
  simt::SetSchedule(3);
  ExpectEqualsTheMatrix<float>(p, ScaledArgs(p, Mask::kCausal), kF32Out, Rows<float>);
}

// Chunks that are not decoded rows: then kernels, tiles and order of pages are the same for a row, and so is every bit.
TEST(AttentionTiles, ARowDoesNotDependOnHowAPromptIsCut) {
  const Problem p = MakeProblem({4, 2, 64, {{130, 150}}}, DType::kBF16, 14);
  const AttentionArgs args = ScaledArgs(p, Mask::kCausal);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  DeviceProblem<Bf16> whole(p, args), cut(p, args);
  whole.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  for (const auto& [first, rows] : {std::pair<int64_t, int64_t>{0, 50}, {50, 9}, {59, 71}}) {
    QueryRun chunk = p.runs[0];
    chunk.first_row = first;
    chunk.rows = rows;
    chunk.first_position += first;
    chunk.keys = chunk.first_position + rows;
    PlanAttention({.runs = {&chunk, 1}, .heads = 4, .kv_heads = 2}, plan);
    cut.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  }
  EXPECT_TRUE(NoReports());
  for (size_t i = 0; i < whole.out.size(); ++i) ASSERT_EQ(whole.out[i], cut.out[i]) << i;
  for (size_t i = 0; i < whole.lse.size(); ++i) ASSERT_EQ(whole.lse[i], cut.lse[i]) << i;
}

TEST_P(AttentionKernels, InAWindowARowSeesItsOwnKeyAndThoseInFrontOfIt) {
  for (const int64_t window : {1, 64, 65}) {
    const Problem p = MakeProblem(GetParam(), DType::kBF16, 13);
    AttentionArgs args = ScaledArgs(p, Mask::kCausal);
    args.window = window;
    ExpectEqualsTheMatrix<Bf16>(p, args, kBf16Out, Tiles);
  }
}

}  // namespace
}  // namespace binocle
