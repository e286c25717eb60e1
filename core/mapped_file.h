// A read-only file mapping.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace binocle {

// Of the machines that Binocle runs on.
inline constexpr size_t kHugePage = size_t{2} << 20;

class MappedFile {
 public:
  // Throws NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT for anything that is not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }
  std::string_view bytes() const { return {data_, size_}; }

 private:
  std::string path_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// What lies in [data, data + bytes) of a mapped file need not stay in memory: it is read again where it is wanted again. Whole pages go. Only for
// files, whose mappings are read-only here: of other memory the contents would be lost.
void ReleaseMapped(const void* data, size_t bytes);

// Brings what lies there into the process now, so that nobody waits for it page by page when it is first read.
void PopulateMapped(const void* data, size_t bytes);

// Whether there is something at `path`. What cannot be looked at (a link to itself, a folder without permission) counts as there, so that
// reading it tells what is wrong.
bool IsThere(const std::filesystem::path& path);

// The whole of a regular file. Throws like MappedFile, and RESOURCE_EXHAUSTED when it is longer than `limit` bytes.
std::string ReadFile(const std::filesystem::path& path, size_t limit);

}  // namespace binocle
