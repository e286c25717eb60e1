// Errors of CUDA calls as binocle::Error. Host code.
#pragma once

#include <cstddef>

namespace binocle::cuda {

// Throws INTERNAL when the last launch was refused: "kernel K: <CUDA's words>".
void CheckLaunch(const char* kernel);
// Lets a kernel have more dynamic shared memory than 48 KiB. Throws INTERNAL where the device has not so much.
void AllowShared(const void* kernel, size_t bytes);

}  // namespace binocle::cuda
