// A file that is there whole or not at all.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace binocle::eval {

// Written under another name, "PATH.part", which goes again with this object unless Commit was called.
// What an errno is to the caller: "PATH: WHAT: No such file or directory", with the code of it.
[[noreturn]] void ThrowFileError(int error, const std::filesystem::path& path, const char* what);
// With those above it; one that is there stays.
void MakeFolder(const std::filesystem::path& path);

class WholeFile {
 public:
  // Throws what the system says, here and below.
  explicit WholeFile(std::filesystem::path path);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void Write(std::string_view text);
  // Puts what was written on the disk and in the place of what was at the path.
  void Commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path part_;
  std::ofstream file_;
};

}  // namespace binocle::eval
