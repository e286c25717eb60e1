#include "core/ops/linear.h"

#include <algorithm>

#include "core/convert.h"
#include "core/ops/linear_kernels.h"

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

void CheckOperands(const TensorView& x, const LinearWeights& w, const TensorView& y) {
  BINOCLE_CHECK(
      x.rank() == 2 && y.rank() == 2 && x.dim(1) == w.k && y.dim(1) == w.n && x.dim(0) == y.dim(0),
      "x ", x.shape().ToString(), " W [", w.n, ", ", w.k, "] y ", y.shape().ToString());
  BINOCLE_CHECK(x.stride(1) == 1 && y.stride(1) == 1, "rows must be dense");
}

}  // namespace

int64_t PackedLinearBytes(int64_t n, int64_t k) {
  const int64_t padded_n = (n + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  return (PaddedDepth(k) * padded_n + n) * 4;
}

LinearWeights PackLinear(Exec& ex, const std::vector<StoredLinear>& parts) {
  LinearWeights w;
  w.k = parts.at(0).weight.dim(1);
  std::vector<std::pair<const TensorView*, int64_t>> row_source;  // part, row in it
  for (const StoredLinear& part : parts) {
    BINOCLE_CHECK(part.weight.dim(1) == w.k, part.weight.name(), " ",
                  part.weight.shape().ToString());
    for (int64_t r = 0; r < part.weight.dim(0); ++r) row_source.emplace_back(&part.weight, r);
    w.n += part.weight.dim(0);
  }
  w.packed = Tensor::F32({PaddedDepth(w.k), w.panels() * kPanelWidth});
  ex.Parallel(w.panels(), [&](int64_t panel) {
    const int64_t begin = panel * kPanelWidth;
    const int64_t end = std::min(begin + kPanelWidth, w.n);
    std::vector<float> wide(static_cast<size_t>((end - begin) * w.k));
    std::vector<const float*> rows;
    for (int64_t r = begin; r < end; ++r) {
      float* row = wide.data() + (r - begin) * w.k;
      ReadAsF32(*row_source[static_cast<size_t>(r)].first,
                row_source[static_cast<size_t>(r)].second * w.k, w.k, row);
      rows.push_back(row);
    }
    PackPanel(rows, panel, w);
  });
  if (!parts[0].bias.empty()) {
    w.bias = Tensor::F32({w.n});
    float* out = w.bias.f32();
    for (const StoredLinear& part : parts) {
      ReadAsF32(part.bias, 0, part.bias.elements(), out);
      out += part.bias.elements();
    }
  }
  return w;
}

void Linear(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y) {
  CheckOperands(x, w, y);
  LinearCpu(ex, x, w, y, Accumulate::kOverwrite);
}

void LinearAdd(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y) {
  CheckOperands(x, w, y);
  LinearCpu(ex, x, w, y, Accumulate::kAdd);
}

}  // namespace binocle
