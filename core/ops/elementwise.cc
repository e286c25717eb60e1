#include "core/ops/elementwise.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "core/backend/cuda/copy.h"
#include "core/convert.h"
#include "core/ops/device_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

// These loops are bound by memory: the compiler's baseline vectors are enough.
constexpr int64_t kRowGrain = 64;

void AddOnDevice(Exec& ex, const TensorView& x, const float* gamma, const TensorView& y) {
  const cuda::AddWork work{.y = DenseF32(y),
                           .gamma = gamma,
                           .rows = Int32(x.dim(0)),
                           .y_rows = Int32(y.dim(0)),
                           .width = Int32(x.dim(1))};
  ex.cuda().Run(cuda::kAddRows, {work, DenseF32(x)});
}

int64_t PitchOf(const TensorView& rows) { return rows.stride(0) * DTypeSize(rows.dtype()); }

void CopyOnDevice(Exec& ex, const TensorView& from, const TensorView& to) {
  if (from.elements() == 0) return;
  ex.cuda().Run(cuda::kCopyRows, {.from = from.data(),
                                  .to = to.data(),
                                  .from_pitch = PitchOf(from),
                                  .to_pitch = PitchOf(to),
                                  .bytes = from.dim(1) * DTypeSize(from.dtype()),
                                  .rows = from.dim(0)});
}

// Between host and device go whole pieces of memory: rows that are apart go through a copy.
void CopyAcross(Exec& ex, const TensorView& from, const TensorView& to) {
  if (!from.contiguous()) {
    const Tensor dense(from.dtype(), from.shape(), from.name(),
                       from.on_cuda() ? ex.place() : Place{});
    CopyRows(ex, from, dense);
    return CopyAcross(ex, dense, to);
  }
  if (!to.contiguous()) {
    const Tensor dense(to.dtype(), to.shape(), to.name(), to.on_cuda() ? ex.place() : Place{});
    CopyAcross(ex, from, dense);
    return CopyRows(ex, dense, to);
  }
  if (from.on_cuda()) {
    ex.cuda().Read(from.data(), to.data(), from.bytes());
  } else {
    ex.cuda().Write(to.data(), from.data(), from.bytes());
  }
}

}  // namespace

void AddRows(Exec& ex, const TensorView& x, const TensorView& y) {
  BINOCLE_CHECK(y.dim(0) > 0 && x.dim(0) % y.dim(0) == 0 && x.dim(1) == y.dim(1),
                x.shape().ToString(), " ", y.shape().ToString());
  if (x.on_cuda()) return AddOnDevice(ex, x, nullptr, y);
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* to = x.row(t);
      const float* from = y.row(t % y.dim(0));
      for (int64_t i = 0; i < x.dim(1); ++i) to[i] += from[i];
    }
  });
}

void AddScaledRows(Exec& ex, const TensorView& x, const TensorView& gamma, const TensorView& y) {
  BINOCLE_CHECK(x.shape() == y.shape() && gamma.dim(0) == x.dim(1), x.shape().ToString(), " ",
                gamma.shape().ToString());
  if (x.on_cuda()) return AddOnDevice(ex, x, gamma.f32(), y);
  const float* scale = gamma.f32();
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* to = x.row(t);
      const float* from = y.row(t);
      for (int64_t i = 0; i < x.dim(1); ++i) to[i] += scale[i] * from[i];
    }
  });
}

void MixRows(Exec& ex, float a, const TensorView& x, float b, const TensorView& y,
             const TensorView& out) {
  BINOCLE_CHECK(x.shape() == y.shape() && x.shape() == out.shape(), x.shape().ToString(), " ",
                y.shape().ToString(), " ", out.shape().ToString());
  if (out.on_cuda()) {
    return ex.cuda().Run(cuda::kMixRows, {.x = x.f32(),
                                          .y = y.f32(),
                                          .a = a,
                                          .b = b,
                                          .rows = Int32(x.dim(0)),
                                          .width = Int32(x.dim(1)),
                                          .x_stride = x.stride(0),
                                          .y_stride = y.stride(0),
                                          .out = out.f32(),
                                          .out_stride = out.stride(0)});
  }
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = 0; i < x.dim(1); ++i) out.row(t)[i] = a * x.row(t)[i] + b * y.row(t)[i];
    }
  });
}

void ScaleRows(Exec& ex, const TensorView& x, float factor) {
  if (x.on_cuda()) {
    return ex.cuda().Run(cuda::kMixRows, {.x = x.f32(),
                                          .y = nullptr,
                                          .a = factor,
                                          .b = 0,
                                          .rows = Int32(x.dim(0)),
                                          .width = Int32(x.dim(1)),
                                          .x_stride = x.stride(0),
                                          .y_stride = 0,
                                          .out = x.f32(),
                                          .out_stride = x.stride(0)});
  }
  ex.ParallelRanges(x.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* row = x.row(t);
      for (int64_t i = 0; i < x.dim(1); ++i) row[i] *= factor;
    }
  });
}

void EmbeddingRows(Exec& ex, const TensorView& table, std::span<const int32_t> ids,
                   const TensorView& out) {
  const int64_t width = table.dim(1);
  BINOCLE_CHECK(out.dim(0) == static_cast<int64_t>(ids.size()) && out.dim(1) == width,
                out.shape().ToString());
  for (const int32_t id : ids)
    BINOCLE_CHECK(id >= 0 && id < table.dim(0), "id ", id, " in a table of ", table.dim(0));
  if (out.on_cuda()) {
    const cuda::EmbeddingWork work{ex.cuda().Upload(ids), Int32(out.dim(0)), Int32(width)};
    if (table.dtype() == DType::kBF16)
      return ex.cuda().Run(cuda::kEmbeddingBf16, {work, DenseBf16(table), DenseF32(out)});
    return ex.cuda().Run(cuda::kEmbeddingF32, {work, DenseF32(table), DenseF32(out)});
  }
  for (size_t t = 0; t < ids.size(); ++t)
    ReadAsF32(table, ids[t] * width, width, out.row(static_cast<int64_t>(t)));
}

void CopyRows(Exec& ex, const TensorView& from, const TensorView& to) {
  BINOCLE_CHECK(from.shape() == to.shape() && from.dtype() == to.dtype(), from.shape().ToString(),
                " ", to.shape().ToString());
  if (from.on_cuda() != to.on_cuda()) return CopyAcross(ex, from, to);
  if (from.on_cuda()) return CopyOnDevice(ex, from, to);
  CopyRows(from, to);
}

void CopyRows(const TensorView& from, const TensorView& to) {
  BINOCLE_CHECK(from.shape() == to.shape() && from.dtype() == to.dtype(), from.shape().ToString(),
                " ", to.shape().ToString());
  const int64_t size = DTypeSize(from.dtype());
  const auto* source = static_cast<const std::byte*>(from.data());
  auto* target = static_cast<std::byte*>(to.data());
  for (int64_t t = 0; t < from.dim(0); ++t) {
    std::memcpy(target + t * to.stride(0) * size, source + t * from.stride(0) * size,
                static_cast<size_t>(from.dim(1) * size));
  }
}

Tensor ToPlace(Exec& ex, Tensor tensor) {
  if (ex.place().cuda == nullptr || tensor.empty()) return tensor;
  const TensorView& host = tensor.view();
  Tensor placed(host.dtype(), host.shape(), host.name(), ex.place());
  ex.cuda().Write(placed.view().data(), host.data(), host.bytes());
  return placed;
}

TensorView OnHost(Exec& ex, const TensorView& rows, Tensor& copy) {
  if (!rows.on_cuda()) return rows;
  copy = ToHost(ex, rows);
  return copy;
}

TensorView AtPlace(Exec& ex, const TensorView& rows, Tensor& copy) {
  if (ex.place().cuda == nullptr || rows.on_cuda() || rows.empty()) return rows;
  copy = Tensor(rows.dtype(), rows.shape(), rows.name(), ex.place());
  CopyRows(ex, rows, copy);
  return copy;
}

Tensor CopyOf(Exec& ex, const TensorView& rows) {
  Tensor copy(rows.dtype(), rows.shape(), rows.name(), rows.on_cuda() ? ex.place() : Place{});
  CopyRows(ex, rows, copy);
  return copy;
}

Tensor ToHost(Exec& ex, const TensorView& rows) {
  Tensor host(rows.dtype(), rows.shape(), rows.name());
  CopyRows(ex, rows, host);
  return host;
}

}  // namespace binocle
