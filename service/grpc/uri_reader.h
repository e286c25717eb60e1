// Pictures by URI, behind an allow-list.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace binocle {

// Reads files below the directories that the operator named; without any, nothing. From any thread.
class UriReader {
 public:
  // INVALID_ARGUMENT for what is no directory.
  explicit UriReader(const std::vector<std::string>& directories);

  // The bytes of a `file:` URI's file. Symbolic links are followed first, and the file that is read is the one that was looked at. Throws
  // INVALID_ARGUMENT (no absolute file URI, no regular file, above `max_bytes`), PERMISSION_DENIED (outside the directories), NOT_FOUND,
  // UNIMPLEMENTED (http, https).
  std::string Read(const std::string& uri, int64_t max_bytes) const;

 private:
  bool Allows(const std::filesystem::path& path) const;

  std::vector<std::filesystem::path> directories_;  // canonical
};

}  // namespace binocle
