#include "cli/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "binocle/error.h"

namespace binocle::cli {
namespace {

[[noreturn]] void ThrowErrno(const std::string& path, int error) {
  Code code = Code::kUnknown;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermissionDenied;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) code = Code::kResourceExhausted;
  if (error == EISDIR || error == ENAMETOOLONG) code = Code::kInvalidArgument;
  throw Error(code, path + ": cannot be written: " + std::strerror(error));
}

// 0, or what errno says.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno;
    text.remove_prefix(static_cast<size_t>(done));
  }
  return 0;
}

// A pipe or a device takes what is written, and stays what it is.
void WriteInto(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) ThrowErrno(path, errno);
  const int error = WriteAll(fd, text);
  close(fd);
  if (error != 0) ThrowErrno(path, error);
}

}  // namespace

void CheckNewFile(const std::string& path, Overwrite overwrite) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) ThrowErrno(path, EISDIR);
  if (overwrite == Overwrite::kRefused && std::filesystem::exists(path, ignored))
    throw Error(Code::kAlreadyExists, path + ": is there already (--overwrite replaces it)");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) != 0) ThrowErrno(path, errno);
}

NewFolder::NewFolder(const std::string& path) {
  std::error_code failure;
  if (std::filesystem::exists(path, failure) && !std::filesystem::is_directory(path, failure))
    throw Error(Code::kInvalidArgument, path + ": is there and is no folder");
  std::filesystem::path part = std::filesystem::path(path) / "";
  for (part = part.parent_path(); !part.empty() && !std::filesystem::exists(part, failure);
       part = part.parent_path())
    made_.push_back(part);
  std::filesystem::create_directories(path, failure);
  if (failure) ThrowErrno(path, failure.value());
  if (access(path.c_str(), W_OK | X_OK) != 0) ThrowErrno(path, errno);
}

NewFolder::~NewFolder() {
  std::error_code not_empty;
  for (const std::filesystem::path& folder : made_) {
    if (!std::filesystem::remove(folder, not_empty)) return;
  }
}

void WriteNewFile(const std::string& path, const std::string& text, Overwrite overwrite) {
  CheckNewFile(path, overwrite);
  std::error_code failure;
  const auto there = std::filesystem::status(path, failure).type();
  if (there != std::filesystem::file_type::regular &&
      there != std::filesystem::file_type::not_found)
    return WriteInto(path, text);
  // What a link leads to is replaced, and not the link.
  const std::filesystem::path target = std::filesystem::is_symlink(path, failure)
                                           ? std::filesystem::weakly_canonical(path, failure)
                                           : std::filesystem::path(path);
  // Under a name that nobody has, so that a full disk leaves what was there.
  std::string part = target.string() + ".XXXXXX";
  const int fd = mkostemp(part.data(), O_CLOEXEC);
  if (fd < 0) ThrowErrno(path, errno);
  const mode_t mask = umask(0);
  umask(mask);
  int error = WriteAll(fd, text);
  if (error == 0 && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0)) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(part.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) return;
  unlink(part.c_str());
  ThrowErrno(path, error);
}

}  // namespace binocle::cli
