// Towers' attention by a library: its results where ours would be, and ours where it has none.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_ref.h"
#include "attention/attention_whole_cuda.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::NoReports;

constexpr int32_t kRuns = 3, kRows = 70, kKeys = 100, kHeads = 6, kDim = 40;

// What a library is said to have written is there before: numbers that tell where they are.
class FakeLibrary final : public cuda::WholeAttention {
 public:
  explicit FakeLibrary(bool knows) : knows_(knows) {}
  bool Attend(const cuda::WholeWork&, cuda::Stream) override { return knows_; }

 private:
  bool knows_;
};

std::vector<Bf16> LibraryOut() {
  std::vector<Bf16> out(size_t{kRuns * kRows * kHeads * kDim});
  for (size_t i = 0; i < out.size(); ++i) out[i] = Bf16FromF32(static_cast<float>(i % 251));
  return out;
}
std::vector<float> LibraryLse() {
  std::vector<float> lse(size_t{kRuns * kRows * kHeads});
  for (size_t i = 0; i < lse.size(); ++i) lse[i] = static_cast<float>(i);
  return lse;
}

struct Whole {
  explicit Whole(bool library_knows) : fake(library_knows) {
    std::vector<cuda::TilePolicy> policies(1);
    AttentionPlan plan;
    PlanAttention({.runs = args.runs, .heads = kHeads, .kv_heads = 2, .mask = Mask::kNone}, plan);
    EXPECT_EQ(plan.part_rows, 0) << "runs of so many rows are no parts";
    std::vector<int32_t> pages;
    for (const QueryRun& run : args.runs)
      pages.insert(pages.end(), run.pages.begin(), run.pages.begin() + PagesFor(kKeys));
    const simt::Array<int32_t> device_pages("page table", pages);
    const simt::Array<int32_t> counts("counts", std::vector<int32_t>(kRuns, kRows));
    const simt::Array<Bf16> out("a library's out", LibraryOut());
    const simt::Array<float> lse("a library's lse", LibraryLse());
    const auto attend = [&](const cuda::AttentionWork<Bf16>& tiles) {
      const cuda::WholeWork work{.tiles = tiles,
                                 .runs = kRuns,
                                 .rows = kRows,
                                 .keys = kKeys,
                                 .pool_pages = 120,
                                 .pages = device_pages.data(),
                                 .row_counts = counts.data(),
                                 .key_counts = counts.data(),
                                 .out = out.data(),
                                 .lse = lse.data()};
      cuda::AttendWhole(work, &fake, nullptr);
    };
    device.Solve(plan, policies, attend);
  }

  FakeLibrary fake;
  Problem problem{{.heads = kHeads, .kv_heads = 2, .d = kDim, .kv_dtype = DType::kBF16},
                  {{kRows, kKeys}, {kRows, kKeys}, {kRows, kKeys}},
                  7};
  AttentionArgs args = problem.args(Mask::kNone);
  DeviceProblem<Bf16> device{problem, args};
};

TEST(WholeAttention, TakesALibrarysResults) {
  const Whole whole(true);
  EXPECT_TRUE(NoReports());
  for (int64_t row = 0; row < kRuns * kRows; ++row) {
    for (int64_t h = 0; h < kHeads; ++h) {
      const int64_t by_head = (row / kRows * kHeads + h) * kRows + row % kRows;
      EXPECT_EQ(whole.device.lse[static_cast<size_t>(row * kHeads + h)],
                static_cast<float>(by_head));
    }
    for (int64_t i = row * kHeads * kDim; i < (row + 1) * kHeads * kDim; ++i)
      ASSERT_EQ(whole.device.out[static_cast<size_t>(i)], static_cast<float>(i % 251));
  }
}

// More heads, and numbers, than a block has threads.
TEST(WholeAttention, TakesAsManyHeadsAsThereAre) {
  constexpr int32_t kManyHeads = 300, kNarrow = 8, kFewRows = 2;
  std::vector<Bf16> numbers(size_t{kFewRows} * kManyHeads * kNarrow);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = Bf16FromF32(static_cast<float>(i % 251));
  std::vector<float> by_head(size_t{kFewRows} * kManyHeads);
  for (size_t i = 0; i < by_head.size(); ++i) by_head[i] = static_cast<float>(i);
  const simt::Array<Bf16> out("a library's out", numbers);
  const simt::Array<float> lse("a library's lse", by_head);
  const simt::Array<float> taken("out", numbers.size()), taken_lse("lse", by_head.size());
  FakeLibrary library(true);
  cuda::AttendWhole({.tiles = {.shape = {.heads = kManyHeads, .head_dim = kNarrow},
                               .result = {.out = taken.data(), .lse = taken_lse.data()}},
                     .runs = 1,
                     .rows = kFewRows,
                     .out = out.data(),
                     .lse = lse.data()},
                    &library, nullptr);
  EXPECT_TRUE(NoReports());
  for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(taken[i], static_cast<float>(i % 251)) << i;
  for (size_t i = 0; i < by_head.size(); ++i)
    ASSERT_EQ(taken_lse[i], static_cast<float>(i % kManyHeads * kFewRows + i / kManyHeads)) << i;
}

TEST(WholeAttention, RunsAsTilesWhereTheLibraryHasNothing) {
  Whole whole(false);
  EXPECT_TRUE(NoReports());
  const Tensor want = Tensor::F32({kRuns * kRows, kHeads * kDim}),
               lse = Tensor::F32({kRuns * kRows, kHeads});
  AttentionRef(whole.args, want, lse);
  for (int64_t i = 0; i < want.view().elements(); ++i)
    ASSERT_NEAR(whole.device.out[static_cast<size_t>(i)], want.f32()[i], 2e-2) << i;
  for (int64_t i = 0; i < lse.view().elements(); ++i)
    ASSERT_NEAR(whole.device.lse[static_cast<size_t>(i)], lse.f32()[i], 1e-4) << i;
}

}  // namespace
}  // namespace binocle
