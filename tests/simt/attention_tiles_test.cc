// The attention kernels against the explicit matrix, at awkward shapes, in several schedules. O to the precision of bf16 weights, LSE to 1e-4: a wrong
// tail shows there first.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_ref.h"
#include "attention/attention_scores_cuda-inl.h"
#include "core/error.h"
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
constexpr double kLse = 3e-5;

struct Shape {
  int64_t heads, kv_heads, d;
  std::vector<std::pair<int64_t, int64_t>> rows_and_keys;
};

Problem MakeProblem(const Shape& shape, DType kv_dtype, uint64_t seed) {
  Problem p({.heads = shape.heads, .kv_heads = shape.kv_heads, .d = shape.d, .kv_dtype = kv_dtype},
            shape.rows_and_keys, seed);
  return p;
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
      ExpectEqualsTheMatrix<Bf16>(p, p.args(mask), kBf16Out, Tiles);
    }
  }
}

TEST_P(AttentionKernels, RowsEqualTheExplicitMatrixInBothTypesCausalAndNot) {
  for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
    const Problem p = MakeProblem(GetParam(), DType::kF32, 12);
    simt::SetSchedule(3);
    ExpectEqualsTheMatrix<float>(p, p.args(mask), kF32Out, Rows<float>);
  }
  const Problem p = MakeProblem(GetParam(), DType::kBF16, 12);
  ExpectEqualsTheMatrix<Bf16>(p, p.args(Mask::kCausal), kF32Out, Rows<Bf16>);
}

// Wider than any kernel of tiles, and than AttendRows' block has threads; a tile of more pages than its block has warps.
TEST(AttentionRows, OfWideHeadsOverManyPagesEqualTheExplicitMatrix) {
  const Problem p = MakeProblem({2, 1, 160, {{8, 330}, {1, 70}}}, DType::kF32, 18);
  ExpectEqualsTheMatrix<float>(p, p.args(Mask::kCausal), kF32Out, Rows<float>);
}

// As many pages of a tile as a picture of 576 tokens and a question are.
TEST(AttentionTiles, OfManyPagesEqualTheExplicitMatrix) {
  const Problem p = MakeProblem({2, 1, 64, {{20, 680}}}, DType::kBF16, 20);
  const AttentionArgs args = p.args(Mask::kCausal);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  ASSERT_GT(plan.direct.tiles.at(0).pages, 8);
  ExpectEqualsTheMatrix<Bf16>(p, args, kBf16Out, Tiles);
}

TEST(AttentionTiles, MultiplyByTheScaleThatTheyGet) {
  Problem p = MakeProblem({4, 2, 80, {{20, 70}, {1, 90}}}, DType::kBF16, 15);
  testing::RoundQueries(p);
  AttentionArgs args = p.args(Mask::kCausal);
  args.scale = 0.25F;
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(args, want, want_lse);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  DeviceProblem<Bf16> device(p, args, testing::ScaledBy::kKernel);
  device.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  EXPECT_TRUE(NoReports());
  EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
}

// A pool of 20 GB has more numbers than 2³¹. Pages are said to be so far behind the first, and the first so far in front of them, as nobody looks there.
constexpr int32_t kFar = 300000;

template <typename Element>
const Element* FarInFront(const Element* pages, const cuda::AttentionShape& shape) {
  return reinterpret_cast<const Element*>(reinterpret_cast<uintptr_t>(pages) -
                                          int64_t{kFar} * shape.kv_heads * kPageTokens *
                                              shape.kv_row * sizeof(Element));
}

template <typename Element, typename Attend>
void ExpectFarPagesAreAsNearOnes(DType dtype, double tolerance, const Attend& attend) {
  const Problem p = MakeProblem({4, 2, 64, {{20, 150}, {1, 300}}}, dtype, 19);
  ExpectEqualsTheMatrix<Element>(
      p, p.args(Mask::kCausal), tolerance, [&](cuda::AttentionWork<Element> work) {
        int32_t count = 0;
        for (int32_t t = 0; t < work.tile_count; ++t)
          count = std::max(count, work.tiles[t].first_page + work.tiles[t].pages);
        std::vector<int32_t> pages(work.pages, work.pages + count);
        for (int32_t& page : pages) page += kFar;
        work.pages = pages.data();
        work.kv.keys = FarInFront(work.kv.keys, work.shape);
        work.kv.values = FarInFront(work.kv.values, work.shape);
        attend(work);
      });
}

TEST(AttentionKernel, PagesMayBeMoreThanTwoToThe31NumbersApart) {
  constexpr cuda::AttentionShape kShape{.kv_heads = 2, .kv_row = 64};
  const auto at = [&](int page) {
    const float* none = nullptr;
    return reinterpret_cast<uintptr_t>(cuda::InPage(none, kShape, page, 1, 5));
  };
  ASSERT_EQ(at(kFar) - at(0), uintptr_t{kFar} * 2 * 64 * 64 * sizeof(float));
  ExpectFarPagesAreAsNearOnes<float>(DType::kF32, kF32Out, Rows<float>);
  ExpectFarPagesAreAsNearOnes<Bf16>(DType::kBF16, kBf16Out, Tiles);
}

// A query of NaN has scores of NaN and nothing else: its row says so, and does not look like one that saw no key. Its neighbours are as they were.
template <typename Element, typename Attend>
void ExpectBrokenRowsStayBroken(DType dtype, const Attend& attend) {
  Problem p = MakeProblem({4, 2, 64, {{20, 150}, {1, 300}, {1, 90}}}, dtype, 16);
  const AttentionArgs args = p.args(Mask::kCausal);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  DeviceProblem<Element> whole(p, args);
  whole.Solve(plan, {cuda::TilePolicy{}}, attend);
  for (const int64_t row : {7, 20}) p.q.row(row)[64] = NAN;  // of head 1
  DeviceProblem<Element> broken(p, args);
  broken.Solve(plan, {cuda::TilePolicy{}}, attend);
  EXPECT_TRUE(NoReports());
  for (size_t row = 0; row < 22; ++row) {
    for (size_t head = 0; head < 4; ++head) {
      const bool is_broken = (row == 7 || row == 20) && head == 1;
      const size_t at = row * 4 + head;
      EXPECT_EQ(std::isnan(broken.lse[at]), is_broken) << row << ' ' << head;
      for (size_t i = at * 64; i < (at + 1) * 64; ++i) {
        ASSERT_EQ(std::isnan(broken.out[i]), is_broken) << row << ' ' << head;
        if (!is_broken) {
          ASSERT_EQ(broken.out[i], whole.out[i]) << row << ' ' << head;
        }
      }
    }
  }
}

TEST(AttentionKernel, RowsOfNanStayNan) {
  ExpectBrokenRowsStayBroken<Bf16>(DType::kBF16, Tiles);
  ExpectBrokenRowsStayBroken<float>(DType::kF32, Rows<float>);
}

// Weights of parts sum to 1 where scores are large: values of 1 give 1, to a few units of the last place.
TEST(AttentionKernel, PartsOfLargeScoresSumToOne) {
  constexpr int kParts = 7, kDim = 32;
  std::vector<float> lse(kParts);
  for (int g = 0; g < kParts; ++g)
    lse[static_cast<size_t>(g)] = 1000.0F + 0.37F * static_cast<float>(g);
  const simt::Array<float> part_lse("part lse", lse),
      part_out("part out", std::vector<float>(size_t{kParts} * kDim, 1.0F));
  const simt::Array<cuda::RowParts> merges("merges", std::vector<cuda::RowParts>{{0, 0, kParts}});
  const simt::Array<float> out("out", kDim), all("lse", 1);
  cuda::MergeParts({.heads = 1,
                    .head_dim = kDim,
                    .merges = merges.data(),
                    .count = 1,
                    .part_out = part_out.data(),
                    .part_lse = part_lse.data(),
                    .out = out.data(),
                    .lse = all.data()},
                   nullptr);
  EXPECT_TRUE(NoReports());
  for (const float o : out.span()) EXPECT_NEAR(o, 1, 5e-7);
}

// What would fault on a device is refused on the host, in words.
TEST(AttentionKernel, OperandsThatAKernelCannotTakeAreRefused) {
  Problem p = MakeProblem({2, 2, 64, {{1, 9}}}, DType::kBF16, 17);
  const AttentionArgs args = p.args(Mask::kCausal);
  AttentionPlan plan;
  PlanAttention(RequestOf(p, args), plan);
  DeviceProblem<Bf16> device(p, args);
  const auto refused = [&](const auto& change, const auto& attend) {
    device.Solve(plan, {cuda::TilePolicy{}}, [&](cuda::AttentionWork<Bf16> work) {
      change(work);
      EXPECT_THROW(attend(work), Error);
    });
    simt::TakeReports();  // nothing was attended, so merges read what nobody wrote
  };
  refused([](auto& work) { work.q += 4; }, Tiles);
  refused([](auto& work) { work.kv.keys += 4; }, Tiles);
  refused([](auto& work) { work.q_stride += 4; }, Tiles);
  refused([](auto& work) { work.result.out += 1; }, Tiles);
  refused([](auto& work) { work.shape.kv_row = 72; }, Tiles);
  refused([](auto& work) { work.shape.heads = 3; }, Rows<Bf16>);
  refused([](auto& work) { work.shape.head_dim = work.shape.kv_row = 288; }, Rows<Bf16>);
}

// Chunks that are not decoded rows: then kernels, tiles and order of pages are the same for a row, and so is every bit.
TEST(AttentionTiles, ARowDoesNotDependOnHowAPromptIsCut) {
  const Problem p = MakeProblem({4, 2, 64, {{130, 150}}}, DType::kBF16, 14);
  const AttentionArgs args = p.args(Mask::kCausal);
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
    AttentionArgs args = p.args(Mask::kCausal);
    args.window = window;
    ExpectEqualsTheMatrix<Bf16>(p, args, kBf16Out, Tiles);
  }
}

}  // namespace
}  // namespace binocle
