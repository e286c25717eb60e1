#include "cli/default_model.h"

#include <cstdlib>
#include <filesystem>

#include "binocle/error.h"

namespace binocle::cli {

std::string DefaultModelPath() {
  if (const char* path = std::getenv("BINOCLE_MODEL"); path != nullptr && *path != '\0')
    return path;
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path bin = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path installed = bin / "../share/binocle/models/binocle-tiny";
  const fs::path built = bin / "../../../models/binocle-tiny";  // build/<preset>/bin
  for (const fs::path& candidate : {installed, built}) {
    if (fs::exists(candidate / "config.json", ignored))
      return fs::weakly_canonical(candidate, ignored).string();
  }
  throw Error(Code::kNotFound, "no default model in " + installed.lexically_normal().string() +
                                   " or " + built.lexically_normal().string() +
                                   "; name one with --model");
}

}  // namespace binocle::cli
