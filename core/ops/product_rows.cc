#include "core/ops/product_rows.h"

#include <cstring>

#include "core/ops/compact_rows.h"

namespace binocle {
namespace {

std::byte* RowStart(const TensorView& rows, int64_t row) {
  return static_cast<std::byte*>(rows.data()) + row * rows.stride(0) * DTypeSize(rows.dtype());
}

}  // namespace

DType RoundedType(WeightKind kind) { return kind == WeightKind::kBf16 ? DType::kBF16 : DType::kU8; }

// On a GPU rows of bf16 lie one after the other.
TensorView RowsOnDevice(const LinearWeights& next, const TensorView& rows) {
  if (next.device.kind != WeightKind::kBf16) return rows;
  BINOCLE_CHECK(rows.contiguous(), rows.name(), " ", rows.shape().ToString());
  return TensorView(rows.data(), DType::kBF16, rows.shape(), rows.name(), Device::kCuda);
}

TensorView RowsInto(const LinearWeights& next, const TensorView& rows) {
  const int64_t k = next.k;
  if (!next.device.empty()) return RowsOnDevice(next, rows);
  if (next.compact.empty() || k % kPanelWidth != 0) return rows;
  BINOCLE_CHECK(rows.contiguous() && rows.dim(1) == k, rows.name(), " ", rows.shape().ToString());
  const DType type = RoundedType(next.compact.kind);
  const int64_t stride = k + kRowGapBytes / DTypeSize(type);
  return TensorView(rows.f32(), type, {rows.dim(0), stride}, rows.name()).Columns(0, k);
}

TensorView RowsInto(const LinearWeights& next, const LinearWeights& other, const TensorView& rows) {
  if (!next.device.empty())
    return next.device.kind == other.device.kind ? RowsOnDevice(next, rows) : rows;
  const bool alike = !other.compact.empty() && !next.compact.empty() &&
                     RoundedType(other.compact.kind) == RoundedType(next.compact.kind);
  return alike ? RowsInto(next, rows) : rows;
}

TensorView RowsBetween(const LinearWeights& maker, const LinearWeights& next,
                       const TensorView& rows) {
  if (!next.device.empty()) return RowsOnDevice(next, rows);
  const auto bf16 = [](const LinearWeights& w) { return w.compact.kind == WeightKind::kBf16; };
  return bf16(maker) && bf16(next) ? RowsInto(next, rows) : rows;
}

void RoundIntoRow(const float* x, int64_t count, const TensorView& rows, int64_t row,
                  int64_t column) {
  std::byte* to = RowStart(rows, row);
  if (rows.dtype() == DType::kBF16)
    return RowAsBf16(x, count, count, reinterpret_cast<Bf16*>(to) + column);
  BINOCLE_CHECK(column == 0 && count == rows.dim(1), "a scale is a whole row's");
  const float scale = RowAsBytes(x, count, count, reinterpret_cast<uint8_t*>(to));
  std::memcpy(to + count, &scale, sizeof scale);
}

float ScaleOfRow(const TensorView& rows, int64_t row) {
  float scale;
  std::memcpy(&scale, RowStart(rows, row) + rows.dim(1), sizeof scale);
  return scale;
}

}  // namespace binocle
