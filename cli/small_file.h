// Files that a person writes.
#pragma once

#include <string>

namespace binocle::cli {

// The whole file. NOT_FOUND where it cannot be read, INVALID_ARGUMENT above 1 MiB.
std::string ReadSmallFile(const std::string& path);

}  // namespace binocle::cli
