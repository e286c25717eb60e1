// The product with weights of fewer bits: rows of x are rounded once, then every panel of W meets them.
#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "core/ops/activation_cpu.h"
#include "core/ops/bf16_block.h"
#include "core/ops/compact_rows.h"
#include "core/ops/int4_block.h"
#include "core/ops/int8_block.h"
#include "core/ops/linear_kernels.h"
#include "core/ops/product_rows.h"

namespace binocle {
namespace {

constexpr int64_t kMostPanels = 4;  // near at a time
// Too few panels to share out: rows are, a block of them at a time.
bool IsNarrow(int64_t panels, int64_t threads) { return panels < 4 * threads; }
// Up to so many rows a panel of four bits is multiplied as it is. Tiles make up for expanding it sooner than vectors do.
int64_t DirectInt4Rows(CpuLevel level) { return level >= CpuLevel::kAmx ? 10 : kFewRows; }

struct RoundedRows {
  const void* x;  // Bf16 or bytes
  int64_t rows;
  int64_t ldx;              // in elements
  const float* row_scales;  // [rows] of bytes
  const int32_t* sums;      // of groups of bytes, which are signed then: for Int4Block; or null
};

// What is near at a time: many rows go through a slice of k of some panels, whose sums they keep, and then through the next one. So x, which is too long
// for the second-level cache, comes from beyond it once for all of these panels, and not for each.
struct Nearness {
  int64_t rows;
  int64_t depth;
  int64_t panels;
};

// Of a cache of 2 MiB the rows have half, or their slice and the sums a quarter each. `bytes` of an element of x.
Nearness NearnessOf(int64_t rows, int64_t depth, int64_t bytes) {
  constexpr int64_t kRows = 1 << 20, kSlice = 512 << 10, kSums = 512 << 10, kMostRows = 768;
  constexpr int64_t kSliceUnit = 512;  // bytes
  if (rows <= kSumRows) return {.rows = kSumRows, .depth = depth, .panels = 1};
  const int64_t chunks = (rows + kMostRows - 1) / kMostRows;
  const int64_t chunk = ((rows + chunks - 1) / chunks + kSumRows - 1) / kSumRows * kSumRows;
  if (chunk * depth * bytes <= kRows) return {.rows = chunk, .depth = depth, .panels = 1};
  const int64_t slice = std::max(kSlice / chunk / kSliceUnit, int64_t{1}) * kSliceUnit / bytes;
  const int64_t panels = std::clamp(kSums / (chunk * kPanelWidth * 4), int64_t{1}, kMostPanels);
  return {.rows = chunk, .depth = std::min(slice, depth), .panels = panels};
}

// The operands of one call.
struct Operands {
  const LinearWeights& w;
  RoundedRows x;
  CpuLevel level;
  int64_t depth;  // padded
  int64_t panel_bytes;
  Nearness near;

  WeightKind kind() const { return w.compact.kind; }
  bool expands() const { return kind() == WeightKind::kInt4 && x.sums == nullptr; }
  PanelShare Share(int64_t panels, int64_t at_once) const {
    return {.panels = panels, .rows = x.rows, .rows_at_once = near.rows, .panels_at_once = at_once};
  }
  const std::byte* panel(int64_t index) const {
    return static_cast<const std::byte*>(w.compact.panels.data()) + index * panel_bytes;
  }
};

// Takes the offset off a row of bytes, in place, and sums its groups.
void AsSigned(uint8_t* x, int64_t depth, int32_t* group_sums) {
  for (int64_t g = 0; g < depth / kInt4Group; ++g) {
    int32_t sum = 0;
    for (int64_t i = g * kInt4Group; i < (g + 1) * kInt4Group; ++i) {
      x[i] = static_cast<uint8_t>(x[i] - kByteOffset);
      sum += static_cast<int8_t>(x[i]);
    }
    group_sums[g] = sum;
  }
}

bool IsDirectInt4(WeightKind kind, int64_t rows, CpuLevel level) {
  return kind == WeightKind::kInt4 && rows <= DirectInt4Rows(level) &&
         MultipliesInt4Directly(level);
}

// Where what is rounded lies in the workspace.
struct RoundedLayout {
  int64_t ldx;  // in elements
  int64_t scales_at, sums_at, bytes;
};

RoundedLayout LayOut(int64_t rows, int64_t depth, WeightKind kind, bool sums) {
  if (kind == WeightKind::kBf16) {
    const int64_t ldx = depth + kRowGapBytes / 2;
    return {.ldx = ldx, .scales_at = 0, .sums_at = 0, .bytes = rows * ldx * 2};
  }
  const int64_t ldx = depth + kRowGapBytes;
  const int64_t scales_at = rows * ldx;
  const int64_t sums_at = scales_at + (rows + 15) / 16 * 64;
  return {.ldx = ldx,
          .scales_at = scales_at,
          .sums_at = sums_at,
          .bytes = sums_at + (sums ? rows * (ldx / kInt4Group) * 4 : 0)};
}

// Bytes and scales of row r of x, f32 or rounded, into `out` and `scale`.
void TakeAsBytes(const TensorView& x, int64_t r, int64_t depth, uint8_t* out, float& scale) {
  if (x.dtype() == DType::kF32) {
    scale = RowAsBytes(x.row(r), x.dim(1), depth, out);
    return;
  }
  std::copy_n(static_cast<const uint8_t*>(x.data()) + r * x.stride(0), depth, out);
  scale = ScaleOfRow(x, r);
}

// Rows that have been rounded are multiplied where they lie; their scales go into the workspace.
RoundedRows TakeRounded(Exec& ex, const TensorView& x) {
  const int64_t rows = x.dim(0);
  RoundedRows out{
      .x = x.data(), .rows = rows, .ldx = x.stride(0), .row_scales = nullptr, .sums = nullptr};
  if (x.dtype() == DType::kBF16) return out;
  auto* scales = static_cast<float*>(ex.Workspace(rows * 4));
  for (int64_t r = 0; r < rows; ++r) scales[r] = ScaleOfRow(x, r);
  out.row_scales = scales;
  return out;
}

// Rounds x into the workspace, unless it has been.
RoundedRows Round(Exec& ex, const TensorView& x, WeightKind kind, int64_t depth) {
  const int64_t rows = x.dim(0), k = x.dim(1);
  const bool sums = IsDirectInt4(kind, rows, ex.cpu_level());
  if (x.dtype() != DType::kF32 && !sums) return TakeRounded(ex, x);
  const RoundedLayout layout = LayOut(rows, depth, kind, sums);
  const int64_t ldx = layout.ldx;
  auto* base = static_cast<std::byte*>(ex.Workspace(layout.bytes));
  if (kind == WeightKind::kBf16) {
    auto* out = reinterpret_cast<Bf16*>(base);
    ex.ParallelRanges(rows, 8, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) RowAsBf16(x.row(r), k, depth, out + r * ldx);
    });
    return {.x = out, .rows = rows, .ldx = ldx, .row_scales = nullptr, .sums = nullptr};
  }
  const int64_t groups = ldx / kInt4Group;
  auto* out = reinterpret_cast<uint8_t*>(base);
  auto* scales = reinterpret_cast<float*>(base + layout.scales_at);
  auto* group_sums = reinterpret_cast<int32_t*>(base + layout.sums_at);
  ex.ParallelRanges(rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      TakeAsBytes(x, r, depth, out + r * ldx, scales[r]);
      if (sums) AsSigned(out + r * ldx, depth, group_sums + r * groups);
    }
  });
  return {.x = out,
          .rows = rows,
          .ldx = ldx,
          .row_scales = scales,
          .sums = sums ? group_sums : nullptr};
}

// One panel's sums of some rows, [rows][64], on one thread.
class PanelSums {
 public:
  PanelSums() = default;
  // Of rows from `first_row` on, in `sums`. `expanded` has room for a slice as bytes, [depth / 4][64][4], and is shared with other panels.
  PanelSums(const Operands& operands, int64_t panel, int64_t first_row, float* sums,
            int8_t* expanded)
      : o_(&operands), panel_(panel), first_row_(first_row), sums_(sums), expanded_(expanded) {}

  // Products of k in [k0, k1) are added to those of the k before.
  void Add(int64_t rows, int64_t k0, int64_t k1) {
    const std::byte* w = o_->expands() ? Expand(k0, k1) : Slice(k0);
    for (int64_t row = 0; row < rows; row += kSumRows)
      AddBlock(w, row, std::min(kSumRows, rows - row), k0, k1);
  }
  // Rows [row, row + rows) of these, at most kSumRows, go to y, whose first element is that of the first row and the panel's first column.
  void Finish(int64_t row, int64_t rows, float* y, int64_t ldy, Accumulate accumulate) const {
    const LinearWeights& w = o_->w;
    const int64_t n0 = panel_ * kPanelWidth;
    const FinishPanel to{.bias = w.bias.empty() ? nullptr : w.bias.f32() + n0,
                         .y = y,
                         .ldy = ldy,
                         .rows = rows,
                         .columns = std::min(kPanelWidth, w.n - n0),
                         .add = accumulate == Accumulate::kAdd};
    const float* sums = sums_ + row * kPanelWidth;
    if (o_->kind() == WeightKind::kBf16) return FinishBf16(sums, to);
    FinishBytes(reinterpret_cast<const int32_t*>(sums), w.compact.starts.i32() + n0,
                w.compact.scales.f32() + n0, o_->x.row_scales + first_row_ + row, to);
  }

 private:
  const std::byte* Slice(int64_t k0) const {
    const int64_t bytes = o_->kind() == WeightKind::kBf16 ? 2 : 1;
    return o_->panel(panel_) + (o_->kind() == WeightKind::kInt4 ? 0 : k0 * kPanelWidth * bytes);
  }
  const std::byte* Expand(int64_t k0, int64_t k1) {
    const auto* panel = reinterpret_cast<const uint8_t*>(o_->panel(panel_));
    ExpandInt4(o_->level, Int4PanelFrom(panel, o_->depth, k0), k1 - k0, expanded_);
    return reinterpret_cast<const std::byte*>(expanded_);
  }
  void AddBlock(const std::byte* w, int64_t row, int64_t rows, int64_t k0, int64_t k1) {
    const RoundedRows& x = o_->x;
    const int64_t x_at = (first_row_ + row) * x.ldx + k0;
    float* sums = sums_ + row * kPanelWidth;
    auto* whole = reinterpret_cast<int32_t*>(sums);
    const bool from_memory = row == 0 && !o_->expands();
    if (o_->kind() == WeightKind::kBf16) {
      MultiplyBf16Block(o_->level, {.x = static_cast<const Bf16*>(x.x) + x_at,
                                    .ldx = x.ldx,
                                    .w = reinterpret_cast<const Bf16*>(w),
                                    .c = sums,
                                    .ldc = kPanelWidth,
                                    .rows = rows,
                                    .depth = k1 - k0,
                                    .add = k0 > 0,
                                    .from_memory = from_memory});
    } else if (x.sums != nullptr) {
      MultiplyInt4Block(o_->level, {.x = static_cast<const int8_t*>(x.x) + x_at,
                                    .ldx = x.ldx,
                                    .x_sums = x.sums + (first_row_ + row) * (x.ldx / kInt4Group),
                                    .w = reinterpret_cast<const uint8_t*>(w),
                                    .start = o_->w.compact.starts.i32() + panel_ * kPanelWidth,
                                    .c = whole,
                                    .rows = rows,
                                    .depth = k1 - k0});
    } else {
      MultiplyInt8Block(o_->level, {.x = static_cast<const uint8_t*>(x.x) + x_at,
                                    .ldx = x.ldx,
                                    .w = reinterpret_cast<const int8_t*>(w),
                                    .c = whole,
                                    .rows = rows,
                                    .depth = k1 - k0,
                                    .add = k0 > 0,
                                    .from_memory = from_memory});
    }
  }

  const Operands* o_ = nullptr;
  int64_t panel_ = 0, first_row_ = 0;
  float* sums_ = nullptr;  // of either type
  int8_t* expanded_ = nullptr;
};

// What a block of rows of one panel is put into on its way.
constexpr int64_t kTile = kSumRows * kPanelWidth;

// The panels that are near, in a task's scratch: their sums, an expanded slice, and two tiles.
class NearPanels {
 public:
  static int64_t Floats(const Nearness& near, WeightKind kind) {
    const int64_t expanded = kind == WeightKind::kInt4 ? near.depth * kPanelWidth / 4 : 0;
    return Room(near) * near.rows * kPanelWidth + expanded + 2 * kTile;
  }
  NearPanels(const Operands& o, int64_t first_row, float* scratch)
      : o_(o), first_row_(first_row), scratch_(scratch) {}

  // At most two, or near.panels.
  void Take(int64_t panel) {
    BINOCLE_CHECK(count_ < Room(o_.near), count_, " panels are near");
    float* sums = scratch_ + 2 * kTile + count_ * o_.near.rows * kPanelWidth;
    float* expanded = scratch_ + 2 * kTile + Room(o_.near) * o_.near.rows * kPanelWidth;
    panels_[static_cast<size_t>(count_++)] =
        PanelSums(o_, panel, first_row_, sums, reinterpret_cast<int8_t*>(expanded));
  }
  // The whole products of all that were taken.
  void Multiply(int64_t rows) {
    for (int64_t k = 0; k < o_.depth; k += o_.near.depth)
      for (int64_t i = 0; i < count_; ++i)
        panels_[static_cast<size_t>(i)].Add(rows, k, std::min(k + o_.near.depth, o_.depth));
  }
  // By the order in which they were taken.
  const PanelSums& operator[](int64_t i) const { return panels_[static_cast<size_t>(i)]; }
  float* tile() const { return scratch_; }
  float* other_tile() const { return scratch_ + kTile; }

 private:
  static int64_t Room(const Nearness& near) { return std::max<int64_t>(2, near.panels); }

  const Operands& o_;
  const int64_t first_row_;
  float* const scratch_;
  std::array<PanelSums, kMostPanels> panels_;
  int64_t count_ = 0;
};

// `panels` are shared out.
Operands OperandsOf(Exec& ex, const TensorView& x, const LinearWeights& w, int64_t panels) {
  const WeightKind kind = w.compact.kind;
  const int64_t rows = IsNarrow(panels, ex.threads()) ? kSumRows : x.dim(0);
  const int64_t depth = PaddedCompactDepth(w.k, kind);
  return {.w = w,
          .x = Round(ex, x, kind, depth),
          .level = ex.cpu_level(),
          .depth = depth,
          .panel_bytes = CompactPanelBytes(w.k, kind),
          .near = NearnessOf(rows, depth, DTypeSize(RoundedType(kind)))};
}

// `then(row, columns)` is called for each row of y, a panel's columns at a time.
template <typename Then>
void Multiply(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
              Accumulate accumulate, const Then& then) {
  if (x.dim(0) == 0) return;
  const Operands o = OperandsOf(ex, x, w, w.panels());
  const bool rounds = y.dtype() == DType::kBF16;
  BINOCLE_CHECK(!rounds || accumulate == Accumulate::kOverwrite,
                "nothing is added to rounded rows");
  const auto finish = [&](const PanelSums& sums, int64_t panel, const PanelTask& task,
                          float* tile) {
    const int64_t column = panel * kPanelWidth;
    const int64_t columns = std::min(kPanelWidth, w.n - column);
    const int64_t ld = rounds ? kPanelWidth : y.stride(0);
    for (int64_t at = 0; at < task.rows; at += kSumRows) {
      const int64_t count = std::min(kSumRows, task.rows - at), row = task.first_row + at;
      float* first = rounds ? tile : y.row(row) + column;
      sums.Finish(at, count, first, ld, accumulate);
      for (int64_t r = 0; r < count; ++r) {
        then(first + r * ld, columns);
        if (rounds) RoundIntoRow(first + r * ld, columns, y, row + r, column);
      }
    }
  };
  ForPanels(ex, o.Share(w.panels(), o.near.panels), NearPanels::Floats(o.near, o.kind()),
            [&](const PanelTask& task, float* scratch) {
              NearPanels near(o, task.first_row, scratch);
              for (int64_t p = 0; p < task.panels; ++p) near.Take(task.first + p);
              near.Multiply(task.rows);
              for (int64_t p = 0; p < task.panels; ++p)
                finish(near[p], task.first + p, task, near.tile());
            });
}

}  // namespace

void ForPanels(Exec& ex, const PanelShare& share, int64_t scratch_floats,
               const std::function<void(const PanelTask&, float*)>& body) {
  const int64_t panels = share.panels, rows = share.rows;
  const int64_t threads = ex.threads();
  if (rows > kFewRows) {
    const bool narrow = IsNarrow(panels, threads);
    const int64_t chunk = narrow ? kSumRows : std::min(rows, share.rows_at_once);
    const int64_t group =
        narrow ? 1 : std::clamp(panels / (4 * threads), int64_t{1}, share.panels_at_once);
    const int64_t chunks = (rows + chunk - 1) / chunk, groups = (panels + group - 1) / group;
    ex.ParallelWithScratch(chunks * groups, scratch_floats, [&](int64_t task, float* own) {
      const int64_t row = task / groups * chunk, panel = task % groups * group;
      body({.first = panel,
            .panels = std::min(group, panels - panel),
            .first_row = row,
            .rows = std::min(chunk, rows - row)},
           own);
    });
    return;
  }
  // Long runs first, for the prefetcher, then ever shorter ones: whoever is done early waits for one panel at most, at every op's end.
  std::vector<int64_t> ends;
  for (int64_t end = 0; end < panels;) {
    end += std::max<int64_t>(1, (panels - end) / (2 * threads));
    ends.push_back(end);
  }
  ex.ParallelWithScratch(std::ssize(ends), scratch_floats, [&](int64_t task, float* own) {
    const auto t = static_cast<size_t>(task);
    const int64_t first = t == 0 ? 0 : ends[t - 1];
    for (int64_t panel = first; panel < ends[t]; ++panel)
      body({.first = panel,
            .panels = 1,
            .first_row = 0,
            .rows = rows,
            .after_neighbour = panel > first,
            .before_neighbour = panel + 1 < ends[t]},
           own);
  });
}

int64_t CompactWorkspaceBytes(int64_t rows, int64_t k, WeightKind kind) {
  const int64_t depth = PaddedCompactDepth(k, kind);
  const int64_t whole = LayOut(rows, depth, kind, false).bytes;
  if (kind != WeightKind::kInt4) return whole;
  return std::max(whole, LayOut(std::min(rows, kFewRows), depth, kind, true).bytes);
}

// Of any number of rows, and any smaller k; that of packing is a row.
int64_t CompactThreadBytes(int64_t k, WeightKind kind) {
  const int64_t most = PaddedCompactDepth(k, kind), element = DTypeSize(RoundedType(kind));
  int64_t floats = most;
  for (int64_t depth = PaddedCompactDepth(1, kind); depth <= most; depth += kPanelWidth)
    for (int64_t rows = kSumRows; rows <= 8 * kSumRows; rows += kSumRows)
      floats = std::max(floats, NearPanels::Floats(NearnessOf(rows, depth, element), kind));
  return 4 * floats;
}

void LinearCompact(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                   Accumulate accumulate) {
  Multiply(ex, x, w, y, accumulate, [](float*, int64_t) {});
}

void LinearCompactThen(Exec& ex, const TensorView& x, const LinearWeights& w, RowFunction then,
                       const TensorView& y) {
  Multiply(ex, x, w, y, Accumulate::kOverwrite, then);
}

void SwiGluCompact(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y) {
  if (x.dim(0) == 0) return;
  const int64_t half = w.panels() / 2;
  const Operands o = OperandsOf(ex, x, w, half);
  const bool rounds = y.dtype() == DType::kBF16;
  const auto finish = [&](const PanelSums& gate, const PanelSums& up, int64_t panel,
                          const PanelTask& task, float* g, float* u) {
    const int64_t column = panel * kPanelWidth;
    for (int64_t at = 0; at < task.rows; at += kSumRows) {
      const int64_t count = std::min(kSumRows, task.rows - at), row = task.first_row + at;
      gate.Finish(at, count, g, kPanelWidth, Accumulate::kOverwrite);
      up.Finish(at, count, u, kPanelWidth, Accumulate::kOverwrite);
      for (int64_t r = 0; r < count; ++r) {
        float* gated = g + r * kPanelWidth;
        float* to = rounds ? gated : y.row(row + r) + column;
        SiluMulRowCpu(gated, u + r * kPanelWidth, to, kPanelWidth);
        if (rounds) RoundIntoRow(gated, kPanelWidth, y, row + r, column);
      }
    }
  };
  ForPanels(ex, o.Share(half, std::max<int64_t>(1, o.near.panels / 2)),
            NearPanels::Floats(o.near, o.kind()), [&](const PanelTask& task, float* scratch) {
              NearPanels near(o, task.first_row, scratch);
              for (int64_t p = 0; p < task.panels; ++p) {
                near.Take(task.first + p);
                near.Take(half + task.first + p);
              }
              near.Multiply(task.rows);
              for (int64_t p = 0; p < task.panels; ++p)
                finish(near[2 * p], near[2 * p + 1], task.first + p, task, near.tile(),
                       near.other_tile());
            });
}

}  // namespace binocle
