// From rows of real numbers to panels of fewer bits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/ops/bf16_block.h"
#include "core/ops/compact_rows.h"
#include "core/ops/int4_block.h"
#include "core/ops/int8_block.h"
#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

constexpr int kMostInt8 = 127;
constexpr int kMostFactor = 15;
constexpr float kLeastScale = 1e-37F;

// One output feature: column n of a panel.
struct Column {
  const float* row;  // [depth], zeros behind k
  int64_t depth;     // padded
  int64_t n;
};

float Largest(const float* values, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

void PackBf16(const Column& c, Bf16* panel) {
  for (int64_t k = 0; k < c.depth; ++k)
    panel[k / 2 * 128 + c.n * 2 + k % 2] = Bf16FromF32(c.row[k]);
}

// 1 / scale; 0 where it is infinite or next to it: such rows, and rows of zeros, are zeros.
float Inverse(float scale) { return scale > kLeastScale ? 1 / scale : 0.0F; }

// Returns the scale; *sum = Σ w.
float PackInt8(const Column& c, int8_t* panel, int32_t* sum) {
  const float scale = Largest(c.row, c.depth) / kMostInt8;
  const float inverse = Inverse(scale);
  *sum = 0;
  for (int64_t k = 0; k < c.depth; ++k) {
    const auto w = static_cast<int>(std::nearbyint(c.row[k] * inverse));
    const int bounded = std::clamp(w, -kMostInt8, kMostInt8);
    panel[k / 4 * 256 + c.n * 4 + k % 4] = static_cast<int8_t>(bounded);
    *sum += bounded;
  }
  return scale;
}

int Nearest4(float value, float inverse) {
  return std::clamp(static_cast<int>(std::nearbyint(value * inverse)), -8, 7);
}

// Σ (w − step·q)² over a group, with the best q.
float SquaredError(const float* w, float step) {
  const float inverse = 1 / step;
  float error = 0;
  for (int64_t i = 0; i < kInt4Group; ++i) {
    const float q = std::clamp(std::nearbyint(w[i] * inverse), -8.0F, 7.0F);
    const float difference = w[i] - step * q;
    error += difference * difference;
  }
  return error;
}

// The factor m of a group whose weights will be scale·m·q. The one that just holds the largest weight is best for a few groups only: most
// lose less by a finer step that clips it.
int BestFactor(const float* w, float scale) {
  const float largest = Largest(w, kInt4Group);
  if (largest == 0 || scale <= kLeastScale) return 0;
  const int holds = std::clamp(static_cast<int>(std::ceil(largest / (7 * scale))), 1, kMostFactor);
  int best = holds;
  float least = std::numeric_limits<float>::max();
  for (int m = std::max(1, holds * 3 / 5); m <= holds; ++m) {
    const float error = SquaredError(w, scale * static_cast<float>(m));
    if (error < least) {
      least = error;
      best = m;
    }
  }
  return best;
}

float PackInt4(const Column& c, uint8_t* panel, int32_t* sum) {
  const float scale = Largest(c.row, c.depth) / (7 * kMostFactor);
  *sum = 0;
  for (int64_t k = 0; k < c.depth; k += kInt4Group) {
    const int64_t g = k / kInt4Group;
    uint8_t& factors = panel[g * kInt4FactorBytes + c.n % 32];
    uint8_t* group = panel + c.depth / kInt4Group * kInt4FactorBytes + g * kInt4WeightBytes;
    const int m = BestFactor(c.row + k, scale);
    const int shift = c.n < 32 ? 0 : 4;
    factors = static_cast<uint8_t>(factors | m << shift);
    const float inverse = Inverse(scale * static_cast<float>(m));
    for (int64_t i = 0; i < kInt4Group; ++i) {
      const int q = Nearest4(c.row[k + i], inverse);
      *sum += q * m;
      uint8_t& byte = group[i % 16 / 4 * 256 + c.n * 4 + i % 4];
      byte = static_cast<uint8_t>(byte | (q + 8) << (i < 16 ? 0 : 4));
    }
  }
  return scale;
}

}  // namespace

int64_t PaddedCompactDepth(int64_t k, WeightKind kind) {
  const int64_t unit = kind == WeightKind::kBf16 ? kBf16Depth : kInt8Depth;
  return (k + unit - 1) / unit * unit;
}

int64_t CompactPanelBytes(int64_t k, WeightKind kind) {
  const int64_t depth = PaddedCompactDepth(k, kind);
  switch (kind) {
    case WeightKind::kBf16: return depth * kPanelWidth * 2;
    case WeightKind::kInt8: return depth * kPanelWidth;
    case WeightKind::kInt4: return Int4PanelBytes(depth);
    case WeightKind::kF32:
    case WeightKind::kBlocks: break;
  }
  return 0;
}

int64_t CompactBytes(int64_t n, int64_t k, WeightKind kind) {
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  return panels * (CompactPanelBytes(k, kind) + (kind == WeightKind::kBf16 ? 0 : kPanelWidth * 8));
}

CompactWeights CompactViews(void* bytes, int64_t n, int64_t k, WeightKind kind) {
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  const int64_t panel_bytes = CompactPanelBytes(k, kind);
  auto* at = static_cast<std::byte*>(bytes);
  CompactWeights w{.kind = kind,
                   .panels = TensorView(at, DType::kU8, {panels * panel_bytes}),
                   .scales = {},
                   .starts = {},
                   .own = {}};
  if (kind == WeightKind::kBf16) return w;
  at += panels * panel_bytes;
  w.scales = TensorView(at, DType::kF32, {panels * kPanelWidth});
  at += panels * kPanelWidth * 4;
  w.starts = TensorView(at, DType::kI32, {panels * kPanelWidth});
  return w;
}

CompactWeights PackCompact(Exec& ex, const std::vector<StoredLinear>& parts, int64_t n, int64_t k,
                           WeightKind kind) {
  BINOCLE_CHECK(k <= kMaxCompactDepth, "k ", k);
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  const int64_t panel_bytes = CompactPanelBytes(k, kind);
  const int64_t depth = PaddedCompactDepth(k, kind);
  Tensor own(DType::kU8, {CompactBytes(n, k, kind)});
  CompactWeights w = CompactViews(own.view().data(), n, k, kind);
  w.own = std::move(own);
  ex.ParallelWithScratch(panels, depth, [&](int64_t panel, float* row) {
    auto* out = static_cast<uint8_t*>(w.panels.data()) + panel * panel_bytes;
    for (int64_t i = 0; i < kPanelWidth; ++i) {
      const int64_t r = panel * kPanelWidth + i;
      const bool real = r < n;
      if (real) ReadStackedRow(parts, r, 0, k, row);
      std::fill(row + (real ? k : 0), row + depth, 0.0F);
      const Column column{.row = row, .depth = depth, .n = i};
      if (kind == WeightKind::kBf16) {
        PackBf16(column, reinterpret_cast<Bf16*>(out));
        continue;
      }
      int32_t sum = 0;
      w.scales.f32()[r] = kind == WeightKind::kInt8
                              ? PackInt8(column, reinterpret_cast<int8_t*>(out), &sum)
                              : PackInt4(column, out, &sum);
      w.starts.i32()[r] = kByteOffset * sum;
    }
  });
  return w;
}

}  // namespace binocle
