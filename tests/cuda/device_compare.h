// What comparisons of a GPU with the host share (device_ops.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/ops/elementwise.h"
#include "tests/cuda/device_ops.h"

namespace binocle::testing {

struct Devices {
  Exec& host;
  Exec& gpu;
  std::vector<DeviceDifference>& found;

  void Expect(std::string what, double off, double tolerance) {
    found.push_back({std::move(what), off, tolerance});
  }

  Tensor On(const TensorView& rows) {
    Tensor copy(rows.dtype(), rows.shape(), rows.name(), gpu.place());
    CopyRows(gpu, rows, copy);
    return copy;
  }
  Tensor Empty(Shape shape) { return Tensor::F32(shape, "out", gpu.place()); }
};

// The largest difference, as a part of the largest number that is wanted.
inline double Off(Exec& gpu, const TensorView& got, const TensorView& want) {
  const Tensor copy = ToHost(gpu, got);
  double most = 0, scale = 1e-20;
  for (int64_t t = 0; t < want.dim(0); ++t) {
    for (int64_t i = 0; i < want.dim(1); ++i) {
      most = std::max(most, std::abs(static_cast<double>(copy.row(t)[i]) - want.row(t)[i]));
      scale = std::max(scale, std::abs(static_cast<double>(want.row(t)[i])));
      if (std::isnan(copy.row(t)[i]) != std::isnan(want.row(t)[i])) return INFINITY;
    }
  }
  return most / scale;
}

// Commands that decoding asks for and CompareDeviceOps' own file does not: rounded rows, sampling, sinks.
void CompareDecoding(Devices& d);

}  // namespace binocle::testing
