#include "cli/new_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

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

// Under another name first, so that a full disk leaves what was there.
void WriteNewFile(const std::string& path, const std::string& text, Overwrite overwrite) {
  CheckNewFile(path, overwrite);
  const std::string part = path + ".part";
  errno = 0;
  std::ofstream file(part, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) {
    const int error = errno;
    file.close();
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    ThrowErrno(path, error);
  }
  file.close();
  std::error_code failure;
  std::filesystem::rename(part, path, failure);
  if (!failure) return;
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  ThrowErrno(path, failure.value());
}

}  // namespace binocle::cli
