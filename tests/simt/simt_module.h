// The CUDA module with the emulator for a device, so that ops, models and the engine run on "a GPU" here.
//
// Memory of the device can only be touched while commands run: code of the host that reads or writes it ends with a segmentation fault. So what passes here
// never mixes up the two.
#pragma once

#include "core/backend/cuda/module.h"

namespace binocle {

// Plain kernels, no shadow memory.
const CudaModule& SimtModule();

// What its devices do from now on, and have done.
struct SimtDevices {
  bool broken = false;  // no run succeeds
  bool lost = false;    // and none ever will
  int64_t runs = 0;
  int64_t reads = 0;  // each of which waits
  int64_t read_bytes = 0;
  int64_t runs_of_keys = 0;  // that could be graphs
  int64_t repeated = 0;      // of these, whose key had been there before
  int64_t most_bytes = 0;    // of a device's memory, taken at a time
};
SimtDevices& TheSimtDevices();

}  // namespace binocle
