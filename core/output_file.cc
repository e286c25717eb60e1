#include "core/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"

namespace binocle {
namespace {

[[noreturn]] void ThrowWriting(const std::filesystem::path& path, int error) {
  Code code = Code::kUnknown;
  if (error == ENOENT || error == ENOTDIR) code = Code::kNotFound;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermissionDenied;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) code = Code::kResourceExhausted;
  if (error == EISDIR || error == ENAMETOOLONG || error == ELOOP) code = Code::kInvalidArgument;
  Throw(code, path.string(), ": cannot be written: ", std::strerror(error));
}

// "DIR/" is DIR, and a link the folder that it leads to.
std::filesystem::path PlaceOf(std::filesystem::path path) {
  if (!path.has_filename()) path = path.parent_path();
  std::error_code failure;
  if (!std::filesystem::is_symlink(path, failure)) return path;
  std::filesystem::path place = std::filesystem::weakly_canonical(path, failure);
  return failure ? path : place;
}

std::filesystem::path PartOf(std::filesystem::path path) { return path += ".part"; }

[[noreturn]] void ThrowLeft(const std::filesystem::path& part) {
  Throw(Code::kAlreadyExists, part.string(),
        ": is there already: left behind by a run that was killed, or in use by one");
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path, Replace replace)
    : path_(std::move(path)), part_(PartOf(path_)), replace_(replace) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored)) ThrowWriting(path_, EISDIR);
  if (replace == Replace::kNothing && IsThere(path_))
    Throw(Code::kAlreadyExists, path_.string(), ": is there already");
  fd_ = open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0 && errno == EEXIST) ThrowLeft(part_);
  if (fd_ < 0) ThrowWriting(path_, errno);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(part_.c_str());
}

void OutputFile::Write(std::string_view bytes) {
  // In whole huge pages from the file's beginning on: what is written so lies in such pages in the cache (MappedFile), and what is
  // written in smaller pieces in small ones.
  constexpr size_t kAtATime = 4 * kHugePage;
  while (!bytes.empty()) {
    const std::string_view some = bytes.substr(0, kAtATime - waiting_.size());
    waiting_ += some;
    bytes_ += static_cast<int64_t>(some.size());
    bytes.remove_prefix(some.size());
    if (waiting_.size() == kAtATime) Flush();
  }
}

void OutputFile::Flush() {
  std::string_view bytes = waiting_;
  while (!bytes.empty()) {
    const ssize_t done = write(fd_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) ThrowWriting(path_, errno);
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  waiting_.clear();
}

void OutputFile::Commit() {
  Flush();
  if (fsync(fd_) != 0) ThrowWriting(path_, errno);
  if (replace_ == Replace::kNothing && IsThere(path_))
    Throw(Code::kAlreadyExists, path_.string(), ": is there already");
  if (rename(part_.c_str(), path_.c_str()) != 0) ThrowWriting(path_, errno);
  close(std::exchange(fd_, -1));
}

NewFolder::NewFolder(std::filesystem::path path, Replace replace)
    : path_(PlaceOf(std::move(path))), part_(PartOf(path_)) {
  std::error_code failure;
  const auto status = std::filesystem::status(path_, failure);
  const bool there = status.type() != std::filesystem::file_type::not_found;
  if (there && status.type() != std::filesystem::file_type::directory)
    ThrowInvalid(path_.string(), ": is there and is no folder");
  if (there && !std::filesystem::is_empty(path_, failure)) {
    if (replace == Replace::kNothing)
      Throw(Code::kAlreadyExists, path_.string(), ": is there already and is not empty");
    if (!IsThere(path_ / "config.json")) {
      Throw(Code::kFailedPrecondition, path_.string(),
            ": has no config.json, expected a model's folder: no other is replaced");
    }
  }
  std::filesystem::path part = std::exchange(part_, {});
  if (!std::filesystem::create_directory(part, failure)) {
    if (!failure) ThrowLeft(part);
    ThrowWriting(path_, failure.value());
  }
  part_ = std::move(part);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!part_.empty()) std::filesystem::remove_all(part_, ignored);
}

void NewFolder::Commit() {
  std::error_code failure;
  std::filesystem::path older;
  if (IsThere(path_) && !std::filesystem::is_empty(path_, failure)) {
    older = path_;
    older += ".older";
    if (IsThere(older)) ThrowLeft(older);
    std::filesystem::rename(path_, older, failure);
    if (failure) ThrowWriting(path_, failure.value());
  }
  std::filesystem::rename(part_, path_, failure);
  if (failure) {
    const int error = failure.value();
    if (!older.empty()) std::filesystem::rename(older, path_, failure);
    ThrowWriting(path_, error);
  }
  part_.clear();
  if (!older.empty()) std::filesystem::remove_all(older, failure);
}

void CheckRoom(const std::filesystem::path& path, int64_t bytes) {
  std::error_code failure;
  std::filesystem::path there = std::filesystem::absolute(PlaceOf(path), failure).parent_path();
  const auto space = std::filesystem::space(there, failure);
  if (failure || space.available >= static_cast<uintmax_t>(bytes)) return;
  Throw(Code::kResourceExhausted, path.string(), ": takes ", bytes, " bytes, ", there.string(),
        " has room for ", space.available);
}

}  // namespace binocle
