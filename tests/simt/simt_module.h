// The CUDA module with the emulator for a device, so that ops, models and the engine run on "a GPU" here.
//
// Memory of the device can only be touched while commands run: code of the host that reads or writes it ends with a segmentation fault. So what passes here
// never mixes up the two.
#pragma once

#include "core/backend/cuda/module.h"

namespace binocle {

// Plain kernels, no shadow memory.
const CudaModule& SimtModule();

}  // namespace binocle
