// Files that a command leaves behind.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace binocle::cli {

enum class Overwrite { kRefused, kAllowed };

// Throws ALREADY_EXISTS when there is something at `path` that may not be overwritten, and what the system would say to a new file in
// its folder: said before long work, not after it.
void CheckNewFile(const std::string& path, Overwrite overwrite);
// A folder at `path` that can be written to, made with its parents where it is not there yet: said before long work too. What was made goes
// again with this object while it is empty. Throws what the system says.
class NewFolder {
 public:
  explicit NewFolder(const std::string& path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

 private:
  std::vector<std::filesystem::path> made_;  // the innermost first
};
// Puts `text` there, whole or not at all. Throws what the system says.
void WriteNewFile(const std::string& path, const std::string& text, Overwrite overwrite);

}  // namespace binocle::cli
