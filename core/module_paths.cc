#include "core/module_paths.h"

#include <dlfcn.h>

#include <system_error>

namespace binocle {

std::array<std::filesystem::path, 2> ModulePaths(std::string_view file) {
  Dl_info info{};
  std::filesystem::path folder;
  if (dladdr(reinterpret_cast<const void*>(&ModulePaths), &info) != 0 &&
      info.dli_fname != nullptr) {
    std::error_code error;
    folder = std::filesystem::canonical(info.dli_fname, error).parent_path();
  }
  return {folder / file, folder.parent_path() / "lib" / file};
}

}  // namespace binocle
