// Files that a command leaves behind.
#pragma once

#include <string>

namespace binocle::cli {

enum class Overwrite { kRefused, kAllowed };

// Throws ALREADY_EXISTS when there is something at `path` that may not be overwritten: said before long work, not after it.
void CheckNewFile(const std::string& path, Overwrite overwrite);
// Puts `text` there, whole or not at all. Throws what the system says.
void WriteNewFile(const std::string& path, const std::string& text, Overwrite overwrite);

}  // namespace binocle::cli
