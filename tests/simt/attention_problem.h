// A problem of tests/attention/problem.h on the emulated device, and how the kernels solve it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "attention/attention_parts_cuda.h"
#include "attention/attention_plan.h"
#include "simt/array.h"
#include "tests/attention/problem.h"

namespace binocle::testing {

template <typename Element>
Element ToElement(float value) {
  if constexpr (sizeof(Element) == 4) {
    return value;
  } else {
    return Bf16FromF32(value);
  }
}

// Who multiplies by the scale: the host, which rounds scale·q where pages are bf16, as the op does; or the kernel, of queries that are rounded already.
enum class ScaledBy : uint8_t { kOp, kKernel };

// What kernels read and write of one problem. Places in pages that hold no token are uninitialised, so that reading one is found.
template <typename Element>
class DeviceProblem {
 public:
  DeviceProblem(const Problem& problem, const AttentionArgs& args, ScaledBy by = ScaledBy::kOp)
      : heads_(problem.heads),
        kv_heads_(args.kv.kv_heads),
        d_(problem.d),
        scale_(sizeof(Element) == 4 || by == ScaledBy::kKernel ? args.scale : 1),
        q("q", static_cast<size_t>(problem.q.dim(0) * heads_ * d_)),
        keys("keys", PageElements(args)),
        values("values", PageElements(args)),
        out("out", static_cast<size_t>(problem.q.dim(0) * heads_ * d_)),
        lse("lse", static_cast<size_t>(problem.q.dim(0) * heads_)),
        content_out("content out", out.size()),
        content_lse("content lse", lse.size()) {
    for (const QueryRun& run : args.runs) {
      for (int64_t r = run.first_row; r < run.first_row + run.rows; ++r)
        for (int64_t i = 0; i < heads_ * d_; ++i)
          q.Set(static_cast<size_t>(r * heads_ * d_ + i),
                ToElement<Element>(args.scale / scale_ * problem.q.row(r)[i]));
      for (int64_t j = 0; j < run.keys; ++j)
        PutToken(args.kv, run.pages[static_cast<size_t>(j / kPageTokens)], j % kPageTokens);
    }
  }

  cuda::AttentionShape shape() const {
    return {.heads = static_cast<int32_t>(heads_),
            .kv_heads = static_cast<int32_t>(kv_heads_),
            .group = static_cast<int32_t>(heads_ / kv_heads_),
            .head_dim = static_cast<int32_t>(d_),
            .kv_row = cuda::DeviceKvRow(static_cast<int>(d_)),
            .scale = scale_};
  }

  size_t KvIndex(int64_t page, int64_t head, int64_t column, int64_t i) const {
    return static_cast<size_t>(((page * kv_heads_ + head) * kPageTokens + column) * shape().kv_row +
                               i);
  }

  // Runs the plan's tiles by `attend` and merges its parts. policies[0] is plain.
  template <typename Attend>
  void Solve(const AttentionPlan& plan, const std::vector<cuda::TilePolicy>& policies,
             const Attend& attend) {
    const simt::Array<cuda::TilePolicy> device_policies("policies", policies);
    Launch(plan.direct, device_policies,
           {out.data(), lse.data(), content_out.data(), content_lse.data()}, attend);
    if (plan.part_rows == 0) return;
    const auto rows = static_cast<size_t>(plan.part_rows * heads_);
    const simt::Array<float> part_out("part out", rows * static_cast<size_t>(d_)),
        part_lse("part lse", rows);
    const simt::Array<float> part_content("part content", rows * static_cast<size_t>(d_)),
        part_content_lse("part content lse", rows);
    Launch(plan.parts, device_policies,
           {part_out.data(), part_lse.data(), part_content.data(), part_content_lse.data()},
           attend);
    Merge(plan.merges, part_out, part_lse, out, lse);
    Merge(std::span(plan.merges).subspan(static_cast<size_t>(plan.content_merges_from)),
          part_content, part_content_lse, content_out, content_lse);
  }

 private:
  // As far as the last page that is somebody's.
  size_t PageElements(const AttentionArgs& args) const {
    int64_t pages = 0;
    for (const QueryRun& run : args.runs)
      for (const int32_t page : run.pages) pages = std::max<int64_t>(pages, page + 1);
    return static_cast<size_t>(pages * kv_heads_ * kPageTokens *
                               cuda::DeviceKvRow(static_cast<int>(d_)));
  }

  void PutToken(const KvLayer& kv, int64_t page, int64_t column) {
    for (int64_t head = 0; head < kv_heads_; ++head) {
      for (int64_t i = 0; i < shape().kv_row; ++i) {
        const size_t at = KvIndex(page, head, column, i);
        keys.Set(at, ToElement<Element>(i < d_ ? kv.Key(page, head, column, i) : 0.0F));
        values.Set(at, ToElement<Element>(i < d_ ? kv.Value(page, head, column, i) : 0.0F));
      }
    }
  }

  template <typename Attend>
  void Launch(const TilePlan& plan, const simt::Array<cuda::TilePolicy>& policies,
              const cuda::AttentionOut& result, const Attend& attend) {
    if (plan.tiles.empty()) return;
    const simt::Array<cuda::AttentionTile> tiles("tiles", plan.tiles);
    const simt::Array<cuda::TileRow> rows("rows", plan.rows);
    const simt::Array<int32_t> pages("pages", plan.pages);
    cuda::AttentionWork<Element> work{.shape = shape(),
                                      .q = q.data(),
                                      .q_stride = heads_ * d_,
                                      .kv = {keys.data(), values.data()},
                                      .tiles = tiles.data(),
                                      .rows = rows.data(),
                                      .pages = pages.data(),
                                      .policies = nullptr,
                                      .tile_count = static_cast<int32_t>(plan.plain_tiles),
                                      .varied = false,
                                      .result = result};
    attend(work);
    work.tiles += plan.plain_tiles;
    work.tile_count = static_cast<int32_t>(std::ssize(plan.tiles) - plan.plain_tiles);
    work.varied = true;
    work.policies = policies.data();
    attend(work);
  }

  void Merge(std::span<const cuda::RowParts> rows, const simt::Array<float>& part_out,
             const simt::Array<float>& part_lse, const simt::Array<float>& to,
             const simt::Array<float>& to_lse) {
    const simt::Array<cuda::RowParts> merges("merges", std::vector(rows.begin(), rows.end()));
    merge({.heads = static_cast<int32_t>(heads_),
           .head_dim = static_cast<int32_t>(d_),
           .merges = merges.data(),
           .count = static_cast<int32_t>(rows.size()),
           .part_out = part_out.data(),
           .part_lse = part_lse.data(),
           .out = to.data(),
           .lse = to_lse.data()});
  }

  int64_t heads_, kv_heads_, d_;
  float scale_;

 public:
  simt::Array<Element> q, keys, values;
  simt::Array<float> out, lse, content_out, content_lse;
  std::function<void(const cuda::MergeWork&)> merge = [](const cuda::MergeWork& work) {
    cuda::MergeParts(work, nullptr);
  };
};

// q as bf16 has it, for kernels that scale it themselves: by a power of two, so that rounding scale·q, as the reference does, changes nothing.
inline void RoundQueries(Problem& problem) {
  for (int64_t i = 0; i < problem.q.view().elements(); ++i)
    problem.q.f32()[i] = F32FromBf16(Bf16FromF32(problem.q.f32()[i]).bits);
}

// All elements of two results, or the first that differ by more than `tolerance`, absolutely.
inline ::testing::AssertionResult Within(std::span<const float> got, const TensorView& want,
                                         double tolerance, const char* name) {
  for (int64_t i = 0; i < want.elements(); ++i) {
    const float g = got[static_cast<size_t>(i)], w = want.f32()[i];
    if (g == w || std::abs(double{g} - w) <= tolerance) continue;
    return ::testing::AssertionFailure()
           << name << '[' << i / want.dim(1) << ", " << i % want.dim(1) << "]: got " << g
           << ", want " << w << " (tolerance " << tolerance << ')';
  }
  return ::testing::AssertionSuccess();
}

// Whether the emulator found nothing; else its first words.
inline ::testing::AssertionResult NoReports() {
  const std::vector<simt::Report> reports = simt::TakeReports();
  if (reports.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << reports.size() << " reports: " << reports[0].message;
}

}  // namespace binocle::testing
