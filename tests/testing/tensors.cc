#include "tests/testing/tensors.h"

#include <cmath>
#include <cstring>

#include "tests/testing/tolerances.h"

namespace binocle::testing {
namespace {

std::string Place(const TensorView& view, int64_t row, int64_t column) {
  return internal::Concat(view.name().empty() ? "tensor" : view.name(), "[", row, ", ", column,
                          "]");
}

// Rows and columns of a tensor of any rank: the last axis is the columns.
int64_t ColumnsOf(const TensorView& view) { return view.dim(view.rank() - 1); }
int64_t RowsOf(const TensorView& view) {
  return ColumnsOf(view) == 0 ? 0 : view.elements() / ColumnsOf(view);
}
const float* RowOf(const TensorView& view, int64_t row) {
  return view.rank() == 2 ? view.row(row) : view.f32() + row * ColumnsOf(view);
}

::testing::AssertionResult SameShape(const TensorView& got, const TensorView& want) {
  if (got.elements() == want.elements() && ColumnsOf(got) == ColumnsOf(want))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << want.name() << ": got " << got.shape().ToString()
                                       << ", want " << want.shape().ToString();
}

}  // namespace

Tensor RandomBlocks(DType dtype, Shape shape, Numbers& numbers) {
  Tensor tensor(dtype, shape);
  const int64_t bytes = tensor.bytes();
  auto* data = static_cast<uint8_t*>(tensor.view().data());
  for (int64_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(numbers.Bits());
  const bool two =
      dtype == DType::kQ41 || dtype == DType::kQ51 || dtype == DType::kQ4K || dtype == DType::kQ5K;
  const int64_t first = dtype == DType::kQ6K ? 208 : 0;
  const int64_t block = UnitOf(dtype).bytes;
  for (int64_t at = first; at < bytes; at += block) {
    for (int64_t scale = 0; scale < (two ? 2 : 1); ++scale) {
      // Any sign and mantissa, and an exponent from 2⁻¹⁰ to 2⁻⁷.
      const auto bits = static_cast<uint16_t>((numbers.Bits() & 0x83FF) |
                                              static_cast<uint16_t>(numbers.Int(5, 8)) << 10);
      std::memcpy(data + at + 2 * scale, &bits, 2);
    }
  }
  return tensor;
}

::testing::AssertionResult Near(const TensorView& got, const TensorView& want,
                                std::string_view op) {
  if (const auto same = SameShape(got, want); !same) return same;
  const Tolerance tolerance = ToleranceOf(op, "f32");
  double largest = 0;
  for (int64_t r = 0; r < RowsOf(want); ++r) {
    for (int64_t c = 0; c < ColumnsOf(want); ++c) {
      if (std::isfinite(RowOf(want, r)[c]))
        largest = std::max(largest, std::abs(static_cast<double>(RowOf(want, r)[c])));
    }
  }
  for (int64_t r = 0; r < RowsOf(want); ++r) {
    for (int64_t c = 0; c < ColumnsOf(want); ++c) {
      const double g = RowOf(got, r)[c];
      const double w = RowOf(want, r)[c];
      if (g == w) continue;
      const double difference = std::abs(g - w);
      if (difference <= tolerance.relative * largest) continue;  // false for NaN
      return ::testing::AssertionFailure()
             << Place(want, r, c) << ": got " << g << ", want " << w << " (|Δ| = " << difference
             << " > " << tolerance.relative << " × " << largest << ", f32 " << op << ")";
    }
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult SameBits(const TensorView& got, const TensorView& want) {
  if (const auto same = SameShape(got, want); !same) return same;
  for (int64_t r = 0; r < RowsOf(want); ++r) {
    for (int64_t c = 0; c < ColumnsOf(want); ++c) {
      if (std::memcmp(RowOf(got, r) + c, RowOf(want, r) + c, sizeof(float)) == 0) continue;
      return ::testing::AssertionFailure() << Place(want, r, c) << ": got " << RowOf(got, r)[c]
                                           << ", want exactly " << RowOf(want, r)[c];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace binocle::testing
