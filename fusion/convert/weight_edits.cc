#include "fusion/convert/weight_edits.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/convert.h"
#include "core/ops/linear.h"

namespace binocle {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 22;
constexpr int64_t kChunkBytes = int64_t{64} << 20;

// [n, …] as [n, k]; [n] as [n, 1].
Shape AsMatrix(const Shape& shape) {
  const int64_t rows = shape[0];
  return {rows, rows == 0 ? 0 : shape.elements() / rows};
}

// [m, n] -> [n, m] f32
Tensor TransposedF32(const TensorView& stored) {
  const Shape shape = AsMatrix(stored.shape());
  Tensor out = Tensor::F32({shape[1], shape[0]}, stored.name());
  std::vector<float> row(static_cast<size_t>(shape[1]));
  for (int64_t i = 0; i < shape[0]; ++i) {
    ReadAsF32(stored, i * shape[1], shape[1], row.data());
    for (int64_t j = 0; j < shape[1]; ++j)
      out.f32()[j * shape[0] + i] = row[static_cast<size_t>(j)];
  }
  return out;
}

Tensor CopiedF32(const TensorView& stored, const Shape& shape) {
  Tensor out = Tensor::F32(shape, stored.name());
  ReadAsF32(stored, 0, stored.elements(), out.f32());
  return out;
}

// rows of s·X·Yᵀ, X [n, r], Y [k, r].
class Product {
 public:
  Product(Exec& ex, const WeightEdit& edit, int64_t k) : scale_(edit.scale) {
    const bool transposed = edit.kind == WeightEdit::Kind::kAddTransposed;
    const int64_t r = edit.a.dim(0);
    rows_ = transposed ? TransposedF32(edit.a) : CopiedF32(edit.b, {edit.b.dim(0), r});
    const Tensor columns = transposed ? CopiedF32(edit.b, {k, r}) : TransposedF32(edit.a);
    weights_ = PackLinear(ex, {{.weight = columns, .bias = {}}});
  }

  // out [end − begin, k] += the rows from `begin` on; `scratch` as large.
  void Add(Exec& ex, int64_t begin, int64_t end, const TensorView& scratch, float* out) const {
    Linear(ex, rows_.view().Rows(begin, end), weights_, scratch);
    for (int64_t i = 0; i < scratch.elements(); ++i) out[i] += scale_ * scratch.f32()[i];
  }

 private:
  float scale_;
  Tensor rows_;
  LinearWeights weights_;
};

// The magnitude that rounds to infinity.
float FirstTooLarge(DType dtype) {
  if (dtype == DType::kF16) return 65520.0F;
  return dtype == DType::kBF16 ? 0x1.FFp127F : std::numeric_limits<float>::infinity();
}

void CheckHolds(const float* values, int64_t count, int64_t first, const NewTensor& tensor) {
  const float limit = FirstTooLarge(tensor.dtype);
  for (int64_t i = 0; i < count; ++i) {
    if (std::fabs(values[i]) < limit) continue;
    Throw(Code::kOutOfRange, Printable(tensor.name, 120), ": element ", first + i, " is ",
          values[i], ", which ", DTypeName(tensor.dtype), " cannot hold");
  }
}

void WriteBytes(const TensorView& stored, const std::function<void(std::string_view)>& write) {
  const auto* bytes = static_cast<const char*>(stored.data());
  for (int64_t begin = 0; begin < stored.bytes(); begin += kChunkBytes)
    write({bytes + begin, static_cast<size_t>(std::min(kChunkBytes, stored.bytes() - begin))});
}

}  // namespace

void WriteEdited(Exec& ex, const TensorView& stored, const std::vector<WeightEdit>& edits,
                 const NewTensor& tensor, const std::function<void(std::string_view)>& write) {
  TensorView base = stored;
  std::vector<Product> products;
  const Shape shape = AsMatrix(stored.shape());
  for (const WeightEdit& edit : edits) {
    if (edit.kind == WeightEdit::Kind::kReplace) {
      base = edit.a;
      products.clear();
    } else {
      products.emplace_back(ex, edit, shape[1]);
    }
  }
  if (products.empty() && base.dtype() == tensor.dtype) return WriteBytes(base, write);
  const int64_t step = std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, shape[1]));
  Tensor values = Tensor::F32({std::min(step, shape[0]), shape[1]});
  Tensor scratch = products.empty() ? Tensor() : Tensor::F32(values.shape());
  std::string bytes;
  for (int64_t begin = 0; begin < shape[0]; begin += step) {
    const int64_t end = std::min(begin + step, shape[0]);
    const int64_t count = (end - begin) * shape[1];
    ReadAsF32(base, begin * shape[1], count, values.f32());
    for (const Product& product : products)
      product.Add(ex, begin, end, scratch.view().Rows(0, end - begin), values.f32());
    CheckHolds(values.f32(), count, begin * shape[1], tensor);
    bytes.resize(static_cast<size_t>(StoredBytes(tensor.dtype, count)));
    WriteFromF32(values.f32(), count, tensor.dtype, bytes.data());
    write(bytes);
  }
}

}  // namespace binocle
