#include "vision/opencv/codecs.h"

#include <dlfcn.h>

#include <string>

#include "core/error.h"
#include "core/module_paths.h"
#include "vision/decode.h"

namespace binocle {
namespace {

constexpr const char* kOpencvModuleFile = "libbinocle_opencv.so";

const OpencvModule* LoadOpencv() {
  std::string tried;
  for (const auto& path : ModulePaths(kOpencvModuleFile)) {
    // Lazily: most of what it brings is never called.
    void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library != nullptr) {
      const void* symbol = dlsym(library, kOpencvModuleSymbol);
      if (symbol != nullptr) return static_cast<const OpencvModule*>(symbol);
    }
    const char* problem = dlerror();
    tried += std::string(tried.empty() ? "" : "; ") + (problem ? problem : "");
  }
  Throw(Code::kInternal, kOpencvModuleFile, ": cannot be loaded: ", tried);
}

}  // namespace

const OpencvModule& OpencvCodecs() {
  static const OpencvModule* module = LoadOpencv();
  return *module;
}

void PrepareDecoder() noexcept {
  try {
    OpencvCodecs();
  } catch (const Error&) {
  }
}

}  // namespace binocle
