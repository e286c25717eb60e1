// The product with weights of fewer bits: rows of x are rounded once, then every panel of W meets them.
#include <algorithm>
#include <cstring>

#include "core/ops/bf16_block.h"
#include "core/ops/compact_rows.h"
#include "core/ops/int4_block.h"
#include "core/ops/int8_block.h"
#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

// Rows whose sums for one panel, 32 KiB, stay near while the panel's k pass.
constexpr int64_t kSumRows = 128;
// Up to so many rows panels of four bits are multiplied as they are; expanded they would be read from memory no more often, and written.
constexpr int64_t kDirectInt4Rows = 16;
// What a thread reads of the weights at once where few rows make reading them the work: threads that alternate in short pieces defeat the
// prefetcher.
constexpr int64_t kTaskBytes = 1 << 20;

// A row's successor begins so many bytes further: rows at multiples of 4 KiB would fall into the same sets of the first cache.
constexpr int64_t kRowGap = 64;

struct RoundedRows {
  const void* x;            // Bf16 or bytes
  int64_t ldx;              // in elements
  const float* row_scales;  // [rows] of bytes
  const int32_t* sums;      // of groups of bytes, for Int4Block
};

struct Parts {
  const LinearWeights& w;
  RoundedRows x;
  const TensorView& y;
  Accumulate accumulate;
  CpuLevel level;
  int64_t depth;  // padded
  int64_t panel_bytes;

  const std::byte* panel(int64_t index) const {
    return static_cast<const std::byte*>(w.compact.panels.view().data()) + index * panel_bytes;
  }
  FinishPanel Finish(int64_t panel, int64_t row, int64_t rows) const {
    const int64_t n0 = panel * kPanelWidth;
    return {.bias = w.bias.empty() ? nullptr : w.bias.f32() + n0,
            .y = y.row(row) + n0,
            .ldy = y.stride(0),
            .rows = rows,
            .columns = std::min(kPanelWidth, w.n - n0),
            .add = accumulate == Accumulate::kAdd};
  }
};

int32_t GroupSum(const uint8_t* x) {
  int32_t sum = 0;
  for (int64_t i = 0; i < kInt4Group; ++i) sum += x[i] - kByteOffset;
  return sum;
}

// Rounds x into the workspace.
RoundedRows Round(Exec& ex, const TensorView& x, WeightKind kind, int64_t depth) {
  const int64_t rows = x.dim(0), k = x.dim(1);
  if (kind == WeightKind::kBf16) {
    const int64_t ldx = depth + kRowGap / 2;
    auto* out = static_cast<Bf16*>(ex.Workspace(rows * ldx * 2));
    ex.ParallelRanges(rows, 8, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) RowAsBf16(x.row(r), k, depth, out + r * ldx);
    });
    return {.x = out, .ldx = ldx, .row_scales = nullptr, .sums = nullptr};
  }
  const int64_t ldx = depth + kRowGap;
  const bool sums = kind == WeightKind::kInt4 && rows <= kDirectInt4Rows;
  const int64_t groups = ldx / kInt4Group;
  const int64_t scales_at = rows * ldx;
  const int64_t sums_at = scales_at + (rows + 15) / 16 * 64;
  auto* base = static_cast<std::byte*>(ex.Workspace(sums_at + (sums ? rows * groups * 4 : 0)));
  auto* out = reinterpret_cast<uint8_t*>(base);
  auto* scales = reinterpret_cast<float*>(base + scales_at);
  auto* group_sums = reinterpret_cast<int32_t*>(base + sums_at);
  ex.ParallelRanges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      scales[r] = RowAsBytes(x.row(r), k, depth, out + r * ldx);
      if (!sums) continue;
      for (int64_t g = 0; g < depth / kInt4Group; ++g)
        group_sums[r * groups + g] = GroupSum(out + r * ldx + g * kInt4Group);
    }
  });
  return {.x = out, .ldx = ldx, .row_scales = scales, .sums = sums ? group_sums : nullptr};
}

void Bf16Panel(const Parts& p, int64_t panel, int64_t row, int64_t rows, float* sums) {
  MultiplyBf16Block(p.level, {.x = static_cast<const Bf16*>(p.x.x) + row * p.x.ldx,
                              .ldx = p.x.ldx,
                              .w = reinterpret_cast<const Bf16*>(p.panel(panel)),
                              .c = sums,
                              .rows = rows,
                              .depth = p.depth,
                              .add = false});
  FinishBf16(sums, p.Finish(panel, row, rows));
}

void FinishBytesOf(const Parts& p, int64_t panel, int64_t row, int64_t rows, const int32_t* sums) {
  const auto* starts = static_cast<const int32_t*>(p.w.compact.starts.view().data());
  FinishBytes(sums, starts + panel * kPanelWidth, p.w.compact.scales.f32() + panel * kPanelWidth,
              p.x.row_scales + row, p.Finish(panel, row, rows));
}

void Int8Panel(const Parts& p, const int8_t* w, int64_t panel, int64_t row, int64_t rows,
               int32_t* sums) {
  MultiplyInt8Block(p.level, {.x = static_cast<const uint8_t*>(p.x.x) + row * p.x.ldx,
                              .ldx = p.x.ldx,
                              .w = w,
                              .c = sums,
                              .rows = rows,
                              .depth = p.depth,
                              .add = false});
  FinishBytesOf(p, panel, row, rows, sums);
}

bool DirectInt4Panel(const Parts& p, int64_t panel, int64_t row, int64_t rows, int32_t* sums) {
  if (p.x.sums == nullptr) return false;
  const auto* starts = static_cast<const int32_t*>(p.w.compact.starts.view().data());
  const bool done =
      MultiplyInt4Block(p.level, {.x = static_cast<const uint8_t*>(p.x.x) + row * p.x.ldx,
                                  .ldx = p.x.ldx,
                                  .x_sums = p.x.sums + row * (p.x.ldx / kInt4Group),
                                  .w = reinterpret_cast<const uint8_t*>(p.panel(panel)),
                                  .start = starts + panel * kPanelWidth,
                                  .c = sums,
                                  .rows = rows,
                                  .depth = p.depth});
  if (done) FinishBytesOf(p, panel, row, rows, sums);
  return done;
}

// Rows [begin, end) of one panel; scratch holds kSumRows sums and, for four bits, a panel of bytes.
void OnePanel(const Parts& p, int64_t panel, int64_t begin, int64_t end, float* scratch) {
  auto* sums = reinterpret_cast<int32_t*>(scratch);
  auto* expanded = reinterpret_cast<int8_t*>(scratch + kSumRows * kPanelWidth);
  const auto* w = reinterpret_cast<const int8_t*>(p.panel(panel));
  const WeightKind kind = p.w.compact.kind;
  if (kind == WeightKind::kInt4) {
    if (DirectInt4Panel(p, panel, begin, end - begin, sums)) return;
    ExpandInt4(p.level, reinterpret_cast<const uint8_t*>(w), p.depth, expanded);
    w = expanded;
  }
  for (int64_t row = begin; row < end; row += kSumRows) {
    const int64_t rows = std::min(kSumRows, end - row);
    if (kind == WeightKind::kBf16) {
      Bf16Panel(p, panel, row, rows, scratch);
    } else {
      Int8Panel(p, w, panel, row, rows, sums);
    }
  }
}

}  // namespace

void LinearCompact(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                   Accumulate accumulate) {
  const int64_t rows = x.dim(0);
  if (rows == 0) return;
  const int64_t depth = PaddedCompactDepth(w.k, w.compact.kind);
  const Parts parts{.w = w,
                    .x = Round(ex, x, w.compact.kind, depth),
                    .y = y,
                    .accumulate = accumulate,
                    .level = ex.cpu_level(),
                    .depth = depth,
                    .panel_bytes = CompactPanelBytes(w.k, w.compact.kind)};
  const bool expands = w.compact.kind == WeightKind::kInt4;
  const int64_t scratch = kSumRows * kPanelWidth + (expands ? depth * kPanelWidth / 4 : 0);
  const int64_t threads = ex.threads();
  if (rows > kDirectInt4Rows && w.panels() < 4 * threads) {
    const int64_t blocks = (rows + kSumRows - 1) / kSumRows;
    ex.ParallelWithScratch(w.panels() * blocks, scratch, [&](int64_t task, float* own) {
      const int64_t begin = task / w.panels() * kSumRows;
      OnePanel(parts, task % w.panels(), begin, std::min(begin + kSumRows, rows), own);
    });
    return;
  }
  // In order, so that a thread's next task is mostly near; at least one task a thread.
  const int64_t reading = std::max<int64_t>(1, kTaskBytes / parts.panel_bytes);
  const int64_t at_once =
      rows > kDirectInt4Rows ? 1 : std::clamp<int64_t>(w.panels() / threads, 1, reading);
  const int64_t tasks = (w.panels() + at_once - 1) / at_once;
  ex.ParallelWithScratch(tasks, scratch, [&](int64_t task, float* own) {
    const int64_t end = std::min((task + 1) * at_once, w.panels());
    for (int64_t panel = task * at_once; panel < end; ++panel) OnePanel(parts, panel, 0, rows, own);
  });
}

}  // namespace binocle
