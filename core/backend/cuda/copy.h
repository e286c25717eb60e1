// Rows from one place on the device to another. Host code; no header of CUDA's.
#pragma once

#include <cstdint>

#include "core/backend/cuda/command.h"

namespace binocle::cuda {

struct CopyRowsWork {
  const void* from;
  void* to;
  int64_t from_pitch;  // bytes from row to row
  int64_t to_pitch;
  int64_t bytes;  // of a row
  int64_t rows;
};
inline constexpr CudaCommand<CopyRowsWork> kCopyRows{"copy rows"};

}  // namespace binocle::cuda
