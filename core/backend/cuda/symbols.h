// Functions of libraries that are looked for at run time. Host code.
#pragma once

#include <dlfcn.h>

namespace binocle::cuda {

// Whether the library has the function; `function` is it, or null.
template <typename Function>
bool FindSymbol(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace binocle::cuda
