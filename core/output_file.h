// Files and folders that are there whole or not at all. What the system says when it refuses is the error: RESOURCE_EXHAUSTED for a full disk,
// PERMISSION_DENIED, NOT_FOUND for a folder that is not there.
//
//   NewFolder folder("models/x", Replace::kNothing);
//   OutputFile file(folder.path() / "config.json");
//   file.Write(text);
//   file.Commit();
//   folder.Commit();
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace binocle {

// What may be in the place of a new file or folder and go.
enum class Replace : uint8_t { kNothing, kOlder };

// Written as PATH.part, which goes again with this object unless Commit was called.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path, Replace replace = Replace::kNothing);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const { return bytes_; }  // so far
  // A full disk may be noticed some megabytes later, at the latest by Commit.
  void Write(std::string_view bytes);
  // Puts its bytes on the disk, and it in its place.
  void Commit();

 private:
  // Writes what waits to be.
  void Flush();

  std::filesystem::path path_;
  std::filesystem::path part_;
  Replace replace_;
  int fd_ = -1;
  int64_t bytes_ = 0;
  std::string waiting_;
};

// Filled as PATH.part. An empty folder may always be in its place; an older one may go where it is of models, which have a config.json:
// so a wrong path costs nobody their files. Throws ALREADY_EXISTS, or FAILED_PRECONDITION for one that is of no model.
class NewFolder {
 public:
  NewFolder(std::filesystem::path path, Replace replace);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& path() const { return part_; }  // where its files go meanwhile
  void Commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path part_;
};

// Throws RESOURCE_EXHAUSTED where the file system of `path`, which need not be there yet, has less room than `bytes`: said before long
// work, not after it.
void CheckRoom(const std::filesystem::path& path, int64_t bytes);

}  // namespace binocle
