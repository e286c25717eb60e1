// Products on a GPU: cuBLASLt for f32 and bf16; with weights of bytes or half bytes our own kernels for few rows and cuBLASLt for many, the same whole sums.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/ops/bf16_block.h"
#include "core/ops/compact_cuda.h"
#include "core/ops/compact_rows.h"
#include "core/ops/device_rows.h"
#include "core/ops/elementwise.h"
#include "core/ops/gemm_cuda.h"
#include "core/ops/int4_block.h"
#include "core/ops/linear_kernels.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

using Scratch = CudaBackend::Scratch;

constexpr int64_t kPackGrain = 16;

// Element (n, k) of panels [depth / G][64][G].
constexpr int64_t InPanel(int64_t n, int64_t k, int64_t depth, int64_t group) {
  return n / kPanelWidth * depth * kPanelWidth + k / group * group * kPanelWidth +
         n % kPanelWidth * group + k % group;
}

// Rows [n, k] of bf16 or bytes out of panels [depth / group][64][group], those from N on zero.
template <typename Element>
Tensor RowsOfPanels(Exec& ex, const LinearWeights& w, DType type, Shape shape, int64_t group) {
  const auto* panels = static_cast<const Element*>(w.compact.panels.data());
  const int64_t depth = PaddedCompactDepth(w.k, w.compact.kind);
  const int64_t k = shape[1];
  Tensor rows(type, shape, "weight");
  auto* out = static_cast<Element*>(rows.view().data());
  ex.ParallelRanges(w.n, kPackGrain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = 0; i < k; ++i) out[n * k + i] = panels[InPanel(n, i, depth, group)];
  });
  return rows;
}

struct DeviceHalfBytes {
  Tensor weight;   // [N, depth / 2]
  Tensor factors;  // [N, depth / 64]
};

// int4_block.h's panels, an element at a time, in compact_cuda.h's order.
DeviceHalfBytes RowsOfInt4(Exec& ex, const LinearWeights& w) {
  const auto* panels = static_cast<const uint8_t*>(w.compact.panels.data());
  const int64_t depth = PaddedCompactDepth(w.k, WeightKind::kInt4);
  DeviceHalfBytes rows{Tensor(DType::kU8, {w.n, depth / 2}, "weight"),
                       Tensor(DType::kU8, {w.n, depth / 64}, "factors")};
  auto* weight = static_cast<uint8_t*>(rows.weight.view().data());
  auto* factors = static_cast<uint8_t*>(rows.factors.view().data());
  const auto half = [](uint8_t byte, bool upper) { return upper ? byte >> 4 : byte & 15; };
  ex.ParallelRanges(w.n, kPackGrain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const uint8_t* panel = panels + n / kPanelWidth * Int4PanelBytes(depth);
      const int64_t column = n % kPanelWidth;
      for (int64_t g = 0; g < depth / kInt4Group; ++g) {
        const Int4Slice slice = Int4PanelFrom(panel, depth, g * kInt4Group);
        const int m = half(slice.factors[column % 32], column >= 32);
        uint8_t& factor = factors[n * (depth / 64) + g / 2];
        factor = static_cast<uint8_t>(factor | m << (g % 2 * 4));
        for (int64_t k = 0; k < kInt4Group; ++k) {
          const uint8_t byte = slice.weights[(k % 16 / 4 * kPanelWidth + column) * 4 + k % 4];
          const int q = half(byte, k >= 16);
          uint8_t& out = weight[(n * depth + g * kInt4Group + k / 8 * 8) / 2 + k % 4];
          out = static_cast<uint8_t>(out | q << (k % 8 / 4 * 4));
        }
      }
    }
  });
  return rows;
}

Tensor RowsOfF32(Exec& ex, const std::vector<StoredLinear>& parts, int64_t n, int64_t k) {
  Tensor rows = Tensor::F32({n, k}, "weight");
  ex.ParallelRanges(n, kPackGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) ReadStackedRow(parts, r, 0, k, rows.row(r));
  });
  return rows;
}

Tensor RowsOfBf16(Exec& ex, const std::vector<StoredLinear>& parts, int64_t n, int64_t k) {
  Tensor rows(DType::kBF16, {n, k}, "weight");
  auto* out = static_cast<Bf16*>(rows.view().data());
  ex.ParallelRanges(n, kPackGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t r = begin; r < end; ++r) {
      ReadStackedRow(parts, r, 0, k, row.data());
      RowAsBf16(row.data(), k, k, out + r * k);
    }
  });
  return rows;
}

cuda::DeviceBytes BytesOf(const LinearWeights& w) {
  return {.q = w.device.weight.view().data(),
          .factors = static_cast<const uint8_t*>(w.device.factors.view().data()),
          .scale = w.device.scales.f32(),
          .bias = w.bias.empty() ? nullptr : w.bias.f32(),
          .features = Int32(w.n),
          .depth = Int32(cuda::PaddedByteDepth(w.k))};
}

// Rows of whole sums that are on their way together: what waits for FinishBytes is bounded.
int64_t RowsOfSums(int64_t features) {
  return std::max<int64_t>(64, kDeviceSumsBytes / 4 / features);
}

void MultiplyManyBytes(CudaBackend& cuda, const cuda::MultiplyBytesWork& product) {
  const int64_t features = cuda::PaddedFeatures(product.w.features), depth = product.w.depth;
  const auto* w = static_cast<const int8_t*>(product.w.q);
  if (product.w.factors != nullptr) {
    auto* expanded = cuda.Get<int8_t>(Scratch::kWeights, features * depth);
    cuda.Run(cuda::kExpand, {product.w, expanded});
    w = expanded;
  }
  const int64_t most = std::min<int64_t>(product.rows, RowsOfSums(features));
  auto* sums = cuda.Get<int32_t>(Scratch::kSums, most * features);
  for (int64_t row = 0; row < product.rows; row += most) {
    cuda::MultiplyBytesWork part = product;
    part.rows = Int32(std::min(most, product.rows - row));
    part.x.bytes += row * depth;
    part.x.scales += row;
    part.y += row * product.y_stride;
    cuda.Run(cuda::kGemmBytes,
             {part.x.bytes, w, sums, features, part.rows, Int32(features), product.w.depth});
    cuda.Run(cuda::kFinishBytes, {part, sums, features});
  }
}

void MultiplyBytes(CudaBackend& cuda, const TensorView& x, const LinearWeights& w,
                   const TensorView& y, Accumulate accumulate) {
  const int64_t rows = x.dim(0), depth = cuda::PaddedByteDepth(w.k);
  const int64_t group_sums = rows * depth / cuda::kCompactGroup;
  // bytes, group sums and scales in one piece, each at a multiple of 16
  auto* bytes = cuda.Get<int8_t>(Scratch::kRows, rows * depth + 4 * group_sums + 4 * rows);
  auto* sums = reinterpret_cast<int32_t*>(bytes + rows * depth);
  const cuda::ByteRows as_bytes{bytes, reinterpret_cast<float*>(sums + group_sums), sums};
  cuda.Run(cuda::kRowsAsBytes, {x.f32(), x.stride(0), Int32(rows), Int32(w.k), as_bytes});
  const cuda::MultiplyBytesWork product{
      as_bytes,   Int32(rows),
      BytesOf(w), accumulate == Accumulate::kAdd ? cuda::Add::kYes : cuda::Add::kNo,
      y.f32(),    y.stride(0)};
  if (rows > cuda::kMostCompactRows) return MultiplyManyBytes(cuda, product);
  cuda.Run(cuda::kMultiplyBytes, product);
}

// x as bf16 rows of `depth`, zeros behind k.
struct Bf16Rows {
  const Bf16* rows;
  int64_t stride;
};
Bf16Rows AsBf16(CudaBackend& cuda, const TensorView& x) {
  if (x.dtype() == DType::kBF16) return {DenseBf16(x), x.stride(0)};
  auto* rows = cuda.Get<Bf16>(Scratch::kRows, x.dim(0) * x.dim(1));
  cuda.Run(cuda::kRoundRows, {x.f32(), x.stride(0), Int32(x.dim(0)), Int32(x.dim(1)), rows});
  return {rows, x.dim(1)};
}

}  // namespace

int64_t DeviceLinearBytes(int64_t n, int64_t k, WeightKind kind) {
  const int64_t depth = cuda::PaddedByteDepth(k);
  switch (kind) {
    case WeightKind::kF32: return 4 * n * k + 4 * n;
    case WeightKind::kBf16: return 2 * n * k + 4 * n;
    case WeightKind::kInt8: return cuda::PaddedFeatures(n) * depth + 8 * n;
    case WeightKind::kInt4: return n * (depth / 2 + depth / 64) + 8 * n;
    case WeightKind::kBlocks: break;
  }
  BINOCLE_CHECK(false, "blocks on a GPU");
}

LinearWeights OnDevice(Exec& ex, LinearWeights w) {
  DeviceMatrix& device = w.device;
  device.kind = w.compact.kind;
  switch (w.compact.kind) {
    case WeightKind::kBf16:
      device.weight = ToPlace(ex, RowsOfPanels<Bf16>(ex, w, DType::kBF16, {w.n, w.k}, 2));
      break;
    case WeightKind::kInt8:
      device.weight = ToPlace(
          ex, RowsOfPanels<uint8_t>(ex, w, DType::kU8,
                                    {cuda::PaddedFeatures(w.n), cuda::PaddedByteDepth(w.k)}, 4));
      break;
    case WeightKind::kInt4: {
      DeviceHalfBytes rows = RowsOfInt4(ex, w);
      device.weight = ToPlace(ex, std::move(rows.weight));
      device.factors = ToPlace(ex, std::move(rows.factors));
      break;
    }
    default: BINOCLE_CHECK(false, "no compact weights");
  }
  if (!w.compact.scales.empty()) {
    Tensor scales = Tensor::F32({w.n}, "scales");
    std::copy_n(w.compact.scales.f32(), w.n, scales.f32());
    device.scales = ToPlace(ex, std::move(scales));
  }
  w.compact = {};
  w.bias = ToPlace(ex, std::move(w.bias));
  return w;
}

LinearWeights PackOnDevice(Exec& ex, const std::vector<StoredLinear>& parts, LinearWeights w,
                           WeightKind kind) {
  if (kind == WeightKind::kF32 || kind == WeightKind::kBf16) {
    w.device.kind = kind;
    w.device.weight = ToPlace(ex, kind == WeightKind::kF32 ? RowsOfF32(ex, parts, w.n, w.k)
                                                           : RowsOfBf16(ex, parts, w.n, w.k));
    w.bias = ToPlace(ex, std::move(w.bias));
    return w;
  }
  if (kind == WeightKind::kBlocks)
    Throw(Code::kUnimplemented,
          "weights in blocks are multiplied as stored by the CPU alone, "
          "expected f32, bf16, int8 or int4 on a GPU");
  w.compact = PackCompact(ex, parts, w.n, w.k, kind);
  return OnDevice(ex, std::move(w));
}

void LinearOnDevice(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y,
                    Accumulate accumulate) {
  CudaBackend& cuda = ex.cuda();
  const WeightKind kind = w.device.kind;
  if (kind == WeightKind::kInt8 || kind == WeightKind::kInt4)
    return MultiplyBytes(cuda, x, w, y, accumulate);
  cuda::GemmWork work{.x = x.data(),
                      .w = w.device.weight.view().data(),
                      .bias = w.bias.empty() ? nullptr : w.bias.f32(),
                      .y = y.f32(),
                      .x_stride = x.stride(0),
                      .y_stride = y.stride(0),
                      .w_stride = w.k,
                      .rows = Int32(x.dim(0)),
                      .features = Int32(w.n),
                      .depth = Int32(w.k),
                      .bf16 = kind != WeightKind::kF32,
                      .add = accumulate == Accumulate::kAdd};
  if (work.bf16) {
    const Bf16Rows rows = AsBf16(cuda, x);
    work.x = rows.rows;
    work.x_stride = rows.stride;
  }
  cuda.Run(cuda::kGemm, work);
}

}  // namespace binocle
