#include "eval/run/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace binocle::eval {
namespace {

[[noreturn]] void Fail(const std::filesystem::path& path) {
  ThrowFileError(errno, path, "cannot be written");
}

}  // namespace

void ThrowFileError(int error, const std::filesystem::path& path, const char* what) {
  Code code = Code::kUnknown;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermissionDenied;
  if (error == ENOSPC || error == EDQUOT) code = Code::kResourceExhausted;
  Throw(code, path.string(), ": ", what, ": ", std::strerror(error));
}

void MakeFolder(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) ThrowFileError(failure.value(), path, "no folder can be made");
}

WholeFile::WholeFile(std::filesystem::path path) : path_(std::move(path)), part_(path_) {
  part_ += ".part";
  errno = 0;
  file_.open(part_, std::ios::binary | std::ios::trunc);
  if (!file_) Fail(path_);
}

WholeFile::~WholeFile() {
  if (part_.empty()) return;
  file_.close();
  std::error_code ignored;
  std::filesystem::remove(part_, ignored);
}

void WholeFile::Write(std::string_view text) {
  errno = 0;
  if (!file_.write(text.data(), static_cast<std::streamsize>(text.size()))) Fail(path_);
}

void WholeFile::Commit() {
  errno = 0;
  file_.close();
  if (!file_) Fail(path_);
  const int fd = open(part_.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  if (!synced || rename(part_.c_str(), path_.c_str()) != 0) Fail(path_);
  part_.clear();
}

}  // namespace binocle::eval
