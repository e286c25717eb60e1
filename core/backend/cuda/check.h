// Errors of CUDA calls as binocle::Error. Host code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"

namespace binocle::cuda {

// Throws INTERNAL when the last launch was refused: "kernel K: <CUDA's words>".
void CheckLaunch(const char* kernel);
// Lets a kernel have more dynamic shared memory than 48 KiB. Throws INTERNAL where the device has not so much.
void AllowShared(const void* kernel, size_t bytes);

// Throws INTERNAL where `pointer` is no multiple of `bytes`: a kernel that loads so many at a time would fault, and take the device's context with it.
inline void CheckAligned(const void* pointer, size_t bytes, const char* what) {
  const auto past = reinterpret_cast<uintptr_t>(pointer) % bytes;
  if (past != 0)
    Throw(Code::kInternal, what, " on the device: ", past, " bytes past a multiple of ", bytes,
          ", expected none");
}

}  // namespace binocle::cuda
