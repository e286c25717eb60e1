#include "core/ops/linear.h"

#include <algorithm>

#include "core/convert.h"
#include "core/ops/linear_kernels.h"
#include "core/ops/product_rows.h"

namespace binocle {
namespace {

// Rows of one panel: transposes [64 rows of W, k] into the panel's [k][64], block by block.
void PackPanel(const std::vector<const float*>& rows, int64_t panel, LinearWeights& w) {
  for (int64_t k0 = 0; k0 < w.k; k0 += kDepthBlock) {
    const int64_t depth = std::min(kDepthBlock, w.k - k0);
    float* out = const_cast<float*>(w.block(k0)) + panel * PaddedDepth(depth) * kPanelWidth;
    for (size_t c = 0; c < rows.size(); ++c) {
      for (int64_t i = 0; i < depth; ++i)
        out[i * kPanelWidth + static_cast<int64_t>(c)] = rows[c][k0 + i];
    }
  }
}

bool IsInBlocks(const StoredLinear& part) { return IsBlockType(part.weight.dtype()); }

void CheckPart(const StoredLinear& part, int64_t k) {
  const TensorView& weight = part.weight;
  const int64_t head = part.order.interleaved_head;
  BINOCLE_CHECK(weight.dim(1) == k, weight.name(), " ", weight.shape().ToString());
  BINOCLE_CHECK(head == 0 || (head % 2 == 0 && weight.dim(0) % head == 0), weight.name(), " ",
                weight.shape().ToString(), " in heads of ", head);
}

Tensor StackBiases(const std::vector<StoredLinear>& parts, int64_t n) {
  if (parts[0].bias.empty()) return {};
  Tensor bias = Tensor::F32({n});
  float* out = bias.f32();
  for (const StoredLinear& part : parts) {
    const int64_t rows = part.bias.elements();
    std::vector<float> stored(static_cast<size_t>(rows));
    ReadAsF32(part.bias, 0, rows, stored.data());
    for (int64_t r = 0; r < rows; ++r)
      *out++ = stored[static_cast<size_t>(part.order.Stored(r))] * part.scale;
  }
  return bias;
}

void Multiply(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
              Accumulate accumulate) {
  if (!w.device.empty()) return LinearOnDevice(ex, x, w, y, accumulate);
  if (!w.compact.empty()) return LinearCompact(ex, x, w, y, accumulate);
  if (w.in_place.empty()) return LinearCpu(ex, x, w, y, accumulate);
  w.in_place_kind == WeightKind::kBlocks ? LinearBlocks(ex, x, w, y, accumulate)
                                         : LinearInPlace(ex, x, w, y, accumulate);
}

}  // namespace

void CheckOperands(const TensorView& x, const LinearWeights& w, const TensorView& y) {
  BINOCLE_CHECK(
      x.rank() == 2 && y.rank() == 2 && x.dim(1) == w.k && y.dim(1) == w.n && x.dim(0) == y.dim(0),
      "x ", x.shape().ToString(), " W [", w.n, ", ", w.k, "] y ", y.shape().ToString());
  BINOCLE_CHECK(x.stride(1) == 1 && y.stride(1) == 1, "rows must be dense");
  const bool on_device = !w.device.empty();
  BINOCLE_CHECK(x.on_cuda() == on_device && y.on_cuda() == on_device, x.name(), " and ", y.name(),
                " are not where the weights are");
  const bool rounded = on_device ? w.device.kind == WeightKind::kBf16 && x.dtype() == DType::kBF16
                                 : !w.compact.empty() && x.dtype() == RoundedType(w.compact.kind);
  BINOCLE_CHECK(x.dtype() == DType::kF32 || rounded, "x ", DTypeName(x.dtype()),
                " beside weights of ", WeightKindName(on_device ? w.device.kind : w.compact.kind));
}

int64_t PackedLinearBytes(int64_t n, int64_t k, WeightKind kind) {
  BINOCLE_CHECK(kind != WeightKind::kBlocks, "blocks are not packed");
  if (kind != WeightKind::kF32) return CompactBytes(n, k, kind) + 4 * n;
  const int64_t padded_n = (n + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  return (PaddedDepth(k) * padded_n + n) * 4;
}

int64_t LinearWorkspaceBytes(int64_t rows, int64_t k, WeightKind kind) {
  if (kind == WeightKind::kBlocks) return BlocksWorkspaceBytes(rows, k);
  return kind == WeightKind::kF32 ? 0 : CompactWorkspaceBytes(rows, k, kind);
}

int64_t LinearThreadBytes(int64_t k, WeightKind kind) {
  if (kind == WeightKind::kBlocks) return BlocksThreadBytes();
  if (kind != WeightKind::kF32) return CompactThreadBytes(k, kind);
  return std::max(InPlaceThreadBytes(), PackedThreadBytes());
}

LinearWeights PackLinear(Exec& ex, const std::vector<StoredLinear>& parts, WeightKind kind) {
  LinearWeights w;
  w.k = parts.at(0).weight.dim(1);
  for (const StoredLinear& part : parts) {
    CheckPart(part, w.k);
    w.n += part.weight.dim(0);
  }
  w.bias = StackBiases(parts, w.n);
  if (ex.place().cuda != nullptr) return PackOnDevice(ex, parts, std::move(w), kind);
  if (kind == WeightKind::kBlocks) {
    BINOCLE_CHECK(std::all_of(parts.begin(), parts.end(), IsInBlocks), parts[0].weight.name(),
                  " is not in blocks");
    w.in_place = parts;
    w.in_place_kind = kind;
    return w;
  }
  if (kind != WeightKind::kF32) {
    w.compact = PackCompact(ex, parts, w.n, w.k, kind);
    return w;
  }
  if (std::any_of(parts.begin(), parts.end(), IsInBlocks)) {
    w.in_place = parts;
    return w;
  }
  w.packed = Tensor::F32({PaddedDepth(w.k), w.panels() * kPanelWidth});
  ex.Parallel(w.panels(), [&](int64_t panel) {
    const int64_t begin = panel * kPanelWidth;
    const int64_t end = std::min(begin + kPanelWidth, w.n);
    std::vector<float> wide(static_cast<size_t>((end - begin) * w.k));
    std::vector<const float*> rows;
    for (int64_t r = begin; r < end; ++r) {
      float* row = wide.data() + (r - begin) * w.k;
      ReadStackedRow(parts, r, 0, w.k, row);
      rows.push_back(row);
    }
    PackPanel(rows, panel, w);
  });
  return w;
}

void ReadStackedRow(const std::vector<StoredLinear>& parts, int64_t r, int64_t k0, int64_t depth,
                    float* out) {
  const StoredLinear* part = parts.data();
  for (; r >= part->weight.dim(0); ++part) r -= part->weight.dim(0);
  const int64_t row = part->order.Stored(r);
  ReadAsF32(part->weight.Rows(row, row + 1), k0, depth, out);
  if (part->scale == 1) return;
  for (int64_t i = 0; i < depth; ++i) out[i] *= part->scale;
}

void AddBias(const LinearWeights& w, const TensorView& y, const Rectangle& r) {
  if (w.bias.empty()) return;
  const float* bias = w.bias.f32();
  for (int64_t m = r.m0; m < r.m1; ++m) {
    float* row = y.row(m);
    for (int64_t n = r.n0; n < r.n1; ++n) row[n] += bias[n];
  }
}

void Linear(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y) {
  const OpScope clock(ex.op_clock(), OpKind::kLinear);
  CheckOperands(x, w, y);
  Multiply(ex, x, w, y, Accumulate::kOverwrite);
}

void LinearAdd(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y) {
  const OpScope clock(ex.op_clock(), OpKind::kLinear);
  CheckOperands(x, w, y);
  Multiply(ex, x, w, y, Accumulate::kAdd);
}

}  // namespace binocle
