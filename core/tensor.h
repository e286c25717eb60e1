// Tensors: TensorView borrows, Tensor owns. Neither computes anything; ops do.
//
// A view is a pointer, an element type, a shape and strides counted in elements, plus a name for messages. Views are passed by
// value and are mutable views, like std::span. No operators, no lazy graph, no resize; copies are spelled Clone().
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "core/aligned_buffer.h"
#include "core/error.h"

namespace binocle {

// Elements are stored one by one, or (from kQ80 on) in blocks that share scales, as GGUF files have them (core/block_types.h).
enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kI32,
  kU8,
  kQ80,
  kQ40,
  kQ41,
  kQ50,
  kQ51,
  kQ4K,
  kQ5K,
  kQ6K,
};

std::string_view DTypeName(DType dtype);  // "f32", "q4_0", "q4_k"

// What is stored as one: a single element, or a block of consecutive ones.
struct DTypeUnit {
  int64_t elements;
  int64_t bytes;
};
DTypeUnit UnitOf(DType dtype);  // f32 {1, 4}, q4_0 {32, 18}, q4_k {256, 144}
inline bool IsBlockType(DType dtype) { return dtype >= DType::kQ80; }

// Bytes of one element: not of block types (checked), whose elements have no size of their own.
int64_t DTypeSize(DType dtype);
// Bytes of `elements` consecutive elements, whole units (checked). Of any type.
int64_t StoredBytes(DType dtype, int64_t elements);

enum class Device : uint8_t { kCpu, kCuda };

// Up to four extents, all ≥ 0. Rank 0 is an absent tensor.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[axis]; }
  int64_t& operator[](int axis) { return dims_[axis]; }
  void Append(int64_t extent);
  int64_t elements() const;
  bool operator==(const Shape&) const = default;
  std::string ToString() const;  // "[577, 1024]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

class TensorView {
 public:
  TensorView() = default;
  // A contiguous (row-major) view. The last extent of a block type is a multiple of its block (checked): blocks run along rows.
  TensorView(void* data, DType dtype, Shape shape, std::string_view name = {},
             Device device = Device::kCpu);

  bool empty() const { return data_ == nullptr; }
  void* data() const { return data_; }
  DType dtype() const { return dtype_; }
  // Whose memory it is. What is on a GPU is read by ops, and copied by CopyRows; the host may not touch it.
  Device device() const { return device_; }
  bool on_cuda() const { return device_ == Device::kCuda; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t stride(int axis) const { return strides_[axis]; }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const {
    return StoredBytes(dtype_, elements());
  }  // of the elements, without gaps
  // The view's owner keeps the characters alive (static text or the tensor file's header).
  std::string_view name() const { return name_; }
  bool contiguous() const;

  // Pointer to the first element, which must be f32 (checked).
  float* f32() const {
    BINOCLE_CHECK(dtype_ == DType::kF32, name_, " is ", DTypeName(dtype_));
    return static_cast<float*>(data_);
  }
  int32_t* i32() const {
    BINOCLE_CHECK(dtype_ == DType::kI32, name_, " is ", DTypeName(dtype_));
    return static_cast<int32_t*>(data_);
  }
  // Row i of a matrix of f32.
  float* row(int64_t i) const { return f32() + i * strides_[0]; }

  TensorView Rows(int64_t begin, int64_t end) const;  // [T, …] -> [end − begin, …]
  // [T, D] -> [T, end − begin], strided; whole blocks of a block type (checked)
  TensorView Columns(int64_t begin, int64_t end) const;
  TensorView Reshape(Shape shape) const;  // contiguous views only, same number of elements
  TensorView Named(std::string_view name) const;

 private:
  void* data_ = nullptr;
  DType dtype_ = DType::kF32;
  Device device_ = Device::kCpu;
  Shape shape_;
  std::array<int64_t, Shape::kMaxRank> strides_{};
  std::string_view name_;
};

class CudaBackend;

// Where tensors are made: the host, or a GPU, which outlives them.
struct Place {
  CudaBackend* cuda = nullptr;
};

// Owns its elements, zero-initialised, 64-byte aligned. Moves, does not copy.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, Shape shape, std::string_view name = {}, Place place = {});
  static Tensor F32(Shape shape, std::string_view name = {}, Place place = {}) {
    return Tensor(DType::kF32, shape, name, place);
  }
  // With its memory committed: for what is kept from call to call, so that the first one costs what the others do.
  static Tensor CommittedF32(Shape shape, std::string_view name = {}, Place place = {}) {
    Tensor tensor = F32(shape, name, place);
    tensor.Commit();
    return tensor;
  }

  // NOLINTNEXTLINE(google-explicit-constructor): a Tensor is usable as its view
  operator TensorView() const { return view_; }
  const TensorView& view() const { return view_; }
  float* f32() const { return view_.f32(); }
  float* row(int64_t i) const { return view_.row(i); }
  int64_t dim(int axis) const { return view_.dim(axis); }
  const Shape& shape() const { return view_.shape(); }
  bool empty() const { return view_.empty(); }
  bool on_cuda() const { return view_.on_cuda(); }
  Place place() const { return {on_device_.get_deleter().cuda}; }
  int64_t bytes() const { return view_.empty() ? 0 : view_.bytes(); }
  void Commit() const { buffer_.Commit(); }  // AlignedBuffer::Commit
  void CommitFirst(int64_t bytes) const { buffer_.Commit(bytes); }
  Tensor Clone() const;  // of the host's
  // The same elements under another shape.
  Tensor Reshaped(Shape shape) &&;

 private:
  struct FreeOnDevice {
    CudaBackend* cuda;
    void operator()(void* memory) const;
  };

  AlignedBuffer buffer_;
  std::unique_ptr<void, FreeOnDevice> on_device_{nullptr, {nullptr}};
  TensorView view_;
};

}  // namespace binocle
