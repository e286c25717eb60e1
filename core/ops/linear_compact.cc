// The product with weights of fewer bits: rows of x are rounded once, then every panel of W meets them.
#include <algorithm>
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

// Up to so many rows a panel of four bits is multiplied as it is. Tiles make up for expanding it sooner than vectors do.
int64_t DirectInt4Rows(CpuLevel level) { return level >= CpuLevel::kAmx ? 10 : kFewRows; }

struct RoundedRows {
  const void* x;  // Bf16 or bytes
  int64_t rows;
  int64_t ldx;              // in elements
  const float* row_scales;  // [rows] of bytes
  const int32_t* sums;      // of groups of bytes, which are signed then: for Int4Block; or null
};

// The operands of one call.
struct Operands {
  const LinearWeights& w;
  RoundedRows x;
  CpuLevel level;
  int64_t depth;  // padded
  int64_t panel_bytes;

  const std::byte* panel(int64_t index) const {
    return static_cast<const std::byte*>(w.compact.panels.data()) + index * panel_bytes;
  }
  PanelShare Share(int64_t panels) const { return {.panels = panels, .rows = x.rows}; }
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

// One thread's way through panels, with scratch of its own.
class PanelProduct {
 public:
  static int64_t ScratchFloats(WeightKind kind, int64_t depth) {
    const bool expands = kind == WeightKind::kInt4;
    return kSumRows * kPanelWidth + (expands ? depth * kPanelWidth / 4 : 0);
  }
  static int64_t ScratchFloats(const Operands& o) {
    return ScratchFloats(o.w.compact.kind, o.depth);
  }
  PanelProduct(const Operands& operands, float* scratch)
      : o_(operands),
        sums_(scratch),
        expanded_(reinterpret_cast<int8_t*>(scratch + kSumRows * kPanelWidth)) {}

  // From here on of this panel.
  void Begin(int64_t panel) {
    panel_ = panel;
    w_ = o_.panel(panel);
    if (o_.w.compact.kind != WeightKind::kInt4 || o_.x.sums != nullptr) return;
    ExpandInt4(o_.level, reinterpret_cast<const uint8_t*>(w_), o_.depth, expanded_);
    w_ = reinterpret_cast<const std::byte*>(expanded_);
  }

  // Rows [row, row + rows), at most kSumRows, go to y, whose first element is that of the first row and the panel's first column.
  void Rows(int64_t row, int64_t rows, float* y, int64_t ldy, Accumulate accumulate) {
    const int64_t n0 = panel_ * kPanelWidth;
    const FinishPanel to{.bias = o_.w.bias.empty() ? nullptr : o_.w.bias.f32() + n0,
                         .y = y,
                         .ldy = ldy,
                         .rows = rows,
                         .columns = std::min(kPanelWidth, o_.w.n - n0),
                         .add = accumulate == Accumulate::kAdd};
    if (o_.w.compact.kind == WeightKind::kBf16) {
      MultiplyBf16Block(o_.level, {.x = static_cast<const Bf16*>(o_.x.x) + row * o_.x.ldx,
                                   .ldx = o_.x.ldx,
                                   .w = reinterpret_cast<const Bf16*>(w_),
                                   .c = sums_,
                                   .ldc = kPanelWidth,
                                   .rows = rows,
                                   .depth = o_.depth,
                                   .add = false,
                                   .from_memory = row == 0});
      return FinishBf16(sums_, to);
    }
    auto* sums = reinterpret_cast<int32_t*>(sums_);
    const int32_t* starts = o_.w.compact.starts.i32() + n0;
    if (o_.x.sums != nullptr) {
      MultiplyInt4Block(o_.level, {.x = static_cast<const int8_t*>(o_.x.x) + row * o_.x.ldx,
                                   .ldx = o_.x.ldx,
                                   .x_sums = o_.x.sums + row * (o_.x.ldx / kInt4Group),
                                   .w = reinterpret_cast<const uint8_t*>(w_),
                                   .start = starts,
                                   .c = sums,
                                   .rows = rows,
                                   .depth = o_.depth});
    } else {
      MultiplyInt8Block(o_.level, {.x = static_cast<const uint8_t*>(o_.x.x) + row * o_.x.ldx,
                                   .ldx = o_.x.ldx,
                                   .w = reinterpret_cast<const int8_t*>(w_),
                                   .c = sums,
                                   .rows = rows,
                                   .depth = o_.depth,
                                   .add = false,
                                   .from_memory = row == 0 && !expands()});
    }
    FinishBytes(sums, starts, o_.w.compact.scales.f32() + n0, o_.x.row_scales + row, to);
  }

 private:
  bool expands() const { return reinterpret_cast<const std::byte*>(expanded_) == w_; }
  const Operands& o_;
  float* sums_;       // [kSumRows][64], of either type
  int8_t* expanded_;  // [depth / 4][64][4]
  int64_t panel_ = 0;
  const std::byte* w_ = nullptr;
};

Operands OperandsOf(Exec& ex, const TensorView& x, const LinearWeights& w) {
  const int64_t depth = PaddedCompactDepth(w.k, w.compact.kind);
  return {.w = w,
          .x = Round(ex, x, w.compact.kind, depth),
          .level = ex.cpu_level(),
          .depth = depth,
          .panel_bytes = CompactPanelBytes(w.k, w.compact.kind)};
}

// What a block of rows of one panel is put into on its way.
constexpr int64_t kTile = kSumRows * kPanelWidth;

// `then(row, columns)` is called for each row of y, a panel's columns at a time.
template <typename Then>
void Multiply(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
              Accumulate accumulate, const Then& then) {
  if (x.dim(0) == 0) return;
  const Operands operands = OperandsOf(ex, x, w);
  const bool rounds = y.dtype() == DType::kBF16;
  const int64_t own_floats = PanelProduct::ScratchFloats(operands);
  ForPanels(ex, operands.Share(w.panels()), own_floats + (rounds ? kTile : 0),
            [&](int64_t panel, int64_t begin, int64_t end, float* scratch) {
              PanelProduct product(operands, scratch);
              product.Begin(panel);
              const int64_t column = panel * kPanelWidth;
              const int64_t columns = std::min(kPanelWidth, w.n - column);
              for (int64_t row = begin; row < end; row += kSumRows) {
                const int64_t rows = std::min(kSumRows, end - row);
                float* first = rounds ? scratch + own_floats : y.row(row) + column;
                const int64_t ld = rounds ? kPanelWidth : y.stride(0);
                product.Rows(row, rows, first, ld, accumulate);
                for (int64_t r = 0; r < rows; ++r) {
                  then(first + r * ld, columns);
                  if (rounds) RoundIntoRow(first + r * ld, columns, y, row + r, column);
                }
              }
            });
}

}  // namespace

void ForPanels(Exec& ex, const PanelShare& share, int64_t scratch_floats,
               const std::function<void(int64_t, int64_t, int64_t, float*)>& body) {
  const int64_t panels = share.panels, rows = share.rows;
  const int64_t threads = ex.threads();
  if (rows > kFewRows && panels < 4 * threads) {
    const int64_t blocks = (rows + kSumRows - 1) / kSumRows;
    ex.ParallelWithScratch(panels * blocks, scratch_floats, [&](int64_t task, float* own) {
      const int64_t begin = task / panels * kSumRows;
      body(task % panels, begin, std::min(begin + kSumRows, rows), own);
    });
    return;
  }
  if (rows > kFewRows) {
    ex.ParallelWithScratch(panels, scratch_floats,
                           [&](int64_t task, float* own) { body(task, 0, rows, own); });
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
    for (int64_t panel = t == 0 ? 0 : ends[t - 1]; panel < ends[t]; ++panel)
      body(panel, 0, rows, own);
  });
}

int64_t CompactWorkspaceBytes(int64_t rows, int64_t k, WeightKind kind) {
  const int64_t depth = PaddedCompactDepth(k, kind);
  const int64_t whole = LayOut(rows, depth, kind, false).bytes;
  if (kind != WeightKind::kInt4) return whole;
  return std::max(whole, LayOut(std::min(rows, kFewRows), depth, kind, true).bytes);
}

// That of SwiGLU, and of packing: a row.
int64_t CompactThreadBytes(int64_t k, WeightKind kind) {
  const int64_t depth = PaddedCompactDepth(k, kind);
  return std::max(2 * PanelProduct::ScratchFloats(kind, depth) + 2 * kTile, depth) * 4;
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
  const Operands operands = OperandsOf(ex, x, w);
  const bool rounds = y.dtype() == DType::kBF16;
  const int64_t half = w.panels() / 2;
  const int64_t own_floats = PanelProduct::ScratchFloats(operands);
  ForPanels(ex, operands.Share(half), 2 * own_floats + 2 * kTile,
            [&](int64_t panel, int64_t begin, int64_t end, float* scratch) {
              PanelProduct gate(operands, scratch), up(operands, scratch + own_floats);
              gate.Begin(panel);
              up.Begin(half + panel);
              float* g = scratch + 2 * own_floats;
              float* u = g + kTile;
              for (int64_t row = begin; row < end; row += kSumRows) {
                const int64_t rows = std::min(kSumRows, end - row);
                gate.Rows(row, rows, g, kPanelWidth, Accumulate::kOverwrite);
                up.Rows(row, rows, u, kPanelWidth, Accumulate::kOverwrite);
                for (int64_t r = 0; r < rows; ++r) {
                  float* gated = g + r * kPanelWidth;
                  const int64_t column = panel * kPanelWidth;
                  if (!rounds) {
                    SiluMulRowCpu(gated, u + r * kPanelWidth, y.row(row + r) + column, kPanelWidth);
                    continue;
                  }
                  SiluMulRowCpu(gated, u + r * kPanelWidth, gated, kPanelWidth);
                  RoundIntoRow(gated, kPanelWidth, y, row + r, column);
                }
              }
            });
}

}  // namespace binocle
