#include "core/tensor.h"

#include <cstring>
#include <utility>

#include "core/backend/cuda_backend.h"

namespace binocle {

std::string_view DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kF16: return "f16";
    case DType::kBF16: return "bf16";
    case DType::kI32: return "i32";
    case DType::kU8: return "u8";
    case DType::kQ80: return "q8_0";
    case DType::kQ40: return "q4_0";
    case DType::kQ41: return "q4_1";
    case DType::kQ50: return "q5_0";
    case DType::kQ51: return "q5_1";
    case DType::kQ4K: return "q4_k";
    case DType::kQ5K: return "q5_k";
    case DType::kQ6K: return "q6_k";
  }
  return "?";
}

DTypeUnit UnitOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32: return {1, 4};
    case DType::kF16:
    case DType::kBF16: return {1, 2};
    case DType::kU8: return {1, 1};
    case DType::kQ80: return {32, 34};
    case DType::kQ40: return {32, 18};
    case DType::kQ41: return {32, 20};
    case DType::kQ50: return {32, 22};
    case DType::kQ51: return {32, 24};
    case DType::kQ4K: return {256, 144};
    case DType::kQ5K: return {256, 176};
    case DType::kQ6K: return {256, 210};
  }
  return {1, 0};
}

int64_t DTypeSize(DType dtype) {
  BINOCLE_CHECK(!IsBlockType(dtype), DTypeName(dtype));
  return UnitOf(dtype).bytes;
}

int64_t StoredBytes(DType dtype, int64_t elements) {
  const DTypeUnit unit = UnitOf(dtype);
  if (unit.elements == 1) return elements * unit.bytes;
  BINOCLE_CHECK(elements % unit.elements == 0, elements, " elements of ", DTypeName(dtype));
  return elements / unit.elements * unit.bytes;
}

Shape::Shape(std::initializer_list<int64_t> dims) {
  for (const int64_t extent : dims) Append(extent);
}

void Shape::Append(int64_t extent) {
  BINOCLE_CHECK(rank_ < kMaxRank && extent >= 0, "rank ", rank_, " extent ", extent);
  dims_[rank_++] = extent;
}

int64_t Shape::elements() const {
  int64_t product = rank_ == 0 ? 0 : 1;
  for (int i = 0; i < rank_; ++i) product *= dims_[i];
  return product;
}

std::string Shape::ToString() const {
  std::string out = "[";
  for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(dims_[i]);
  return out + "]";
}

TensorView::TensorView(void* data, DType dtype, Shape shape, std::string_view name, Device device)
    : data_(data), dtype_(dtype), device_(device), shape_(shape), name_(name) {
  BINOCLE_CHECK(!IsBlockType(dtype) || shape.rank() == 0 ||
                    shape[shape.rank() - 1] % UnitOf(dtype).elements == 0,
                name, " is ", DTypeName(dtype), " ", shape.ToString());
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides_[i] = stride;
    stride *= shape[i];
  }
}

bool TensorView::contiguous() const {
  int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (strides_[i] != stride && shape_[i] > 1) return false;
    stride *= shape_[i];
  }
  return true;
}

TensorView TensorView::Rows(int64_t begin, int64_t end) const {
  BINOCLE_CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], name_,
                shape_.ToString(), " rows ", begin, "..", end);
  TensorView view = *this;
  view.data_ = static_cast<char*>(data_) + StoredBytes(dtype_, begin * strides_[0]);
  view.shape_[0] = end - begin;
  return view;
}

TensorView TensorView::Columns(int64_t begin, int64_t end) const {
  BINOCLE_CHECK(rank() == 2 && 0 <= begin && begin <= end && end <= shape_[1], name_,
                shape_.ToString(), " columns ", begin, "..", end);
  BINOCLE_CHECK((end - begin) % UnitOf(dtype_).elements == 0, name_, " is ", DTypeName(dtype_));
  TensorView view = *this;
  view.data_ = static_cast<char*>(data_) + StoredBytes(dtype_, begin * strides_[1]);
  view.shape_[1] = end - begin;
  return view;
}

TensorView TensorView::Reshape(Shape shape) const {
  BINOCLE_CHECK(contiguous() && shape.elements() == elements(), name_, shape_.ToString(), " as ",
                shape.ToString());
  return TensorView(data_, dtype_, shape, name_, device_);
}

TensorView TensorView::Named(std::string_view name) const {
  TensorView view = *this;
  view.name_ = name;
  return view;
}

Tensor::Tensor(DType dtype, Shape shape, std::string_view name, Place place) {
  const int64_t bytes = StoredBytes(dtype, shape.elements());
  if (place.cuda == nullptr) {
    buffer_ = AlignedBuffer(bytes);
    view_ = TensorView(buffer_.data(), dtype, shape, name);
    return;
  }
  on_device_ = std::unique_ptr<void, FreeOnDevice>(place.cuda->Allocate(bytes), {place.cuda});
  view_ = TensorView(on_device_.get(), dtype, shape, name, Device::kCuda);
}

void Tensor::FreeOnDevice::operator()(void* memory) const { cuda->Free(memory); }

Tensor Tensor::Clone() const {
  if (empty()) return {};
  BINOCLE_CHECK(!on_cuda(), view_.name(), " is a GPU's");
  Tensor copy(view_.dtype(), view_.shape(), view_.name());
  std::memcpy(copy.buffer_.data(), buffer_.data(), static_cast<size_t>(buffer_.size()));
  return copy;
}

Tensor Tensor::Reshaped(Shape shape) && {
  Tensor moved = std::move(*this);
  moved.view_ = moved.view_.Reshape(shape);
  return moved;
}

}  // namespace binocle
