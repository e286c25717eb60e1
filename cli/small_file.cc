#include "cli/small_file.h"

#include <fstream>

#include "binocle/error.h"

namespace binocle::cli {

std::string ReadSmallFile(const std::string& path) {
  constexpr std::streamsize kMostBytes = 1 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), kMostBytes + 1);
  if (!file.is_open() || file.bad()) throw Error(Code::kNotFound, path + ": cannot be read");
  if (file.gcount() > kMostBytes)
    throw Error(Code::kInvalidArgument, path + ": has more than 1 MiB");
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace binocle::cli
