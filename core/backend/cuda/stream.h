// The stream of a launch, for headers that know no CUDA.
#pragma once

namespace binocle::cuda {

// cudaStream_t; nothing in the emulator.
using Stream = void*;

}  // namespace binocle::cuda
