// Files that a command leaves behind.
#pragma once

#include <string>

namespace binocle::cli {

enum class Overwrite { kRefused, kAllowed };

// Throws ALREADY_EXISTS when there is something at `path` that may not be overwritten: said before long work, not after it.
void CheckNewFile(const std::string& path, Overwrite overwrite);
// A folder at `path`, made with its parents where it is not there yet: said before long work too. It goes again with this object if it
// was made and is still empty. Throws what the system says.
class NewFolder {
 public:
  explicit NewFolder(const std::string& path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

 private:
  std::string path_;
  bool made_;
};
// Puts `text` there, whole or not at all. Throws what the system says.
void WriteNewFile(const std::string& path, const std::string& text, Overwrite overwrite);

}  // namespace binocle::cli
