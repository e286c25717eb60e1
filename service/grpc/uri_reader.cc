#include "service/grpc/uri_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return fd_; }
  // Where the kernel says it is.
  fs::path link() const { return fs::path("/proc/self/fd") / std::to_string(fd_); }

 private:
  int fd_;
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

[[noreturn]] void Invalid(const std::string& message) {
  throw Error(Code::kInvalidArgument, message);
}

// The path of file:/a/b, file:///a/b or file://localhost/a/b, percent signs decoded.
std::string PathOf(const std::string& uri) {
  if (uri.starts_with("http:") || uri.starts_with("https:"))
    throw Error(Code::kUnimplemented,
                "is an address, expected a file: this server fetches nothing");
  std::string_view rest = uri;
  if (!rest.starts_with("file:")) Invalid("is no URI that this server reads, expected file:///…");
  rest.remove_prefix(5);
  if (rest.starts_with("//localhost/")) rest.remove_prefix(11);
  if (rest.starts_with("///")) rest.remove_prefix(2);
  if (!rest.starts_with("/") || rest.starts_with("//"))
    Invalid("is no absolute file of this machine, expected file:///…");
  std::string path;
  for (size_t i = 0; i < rest.size(); ++i) {
    char c = rest[i];
    if (c == '%') {
      const int high = i + 2 < rest.size() ? HexDigit(rest[i + 1]) : -1;
      const int low = i + 2 < rest.size() ? HexDigit(rest[i + 2]) : -1;
      if (high < 0 || low < 0) Invalid("has a % without two hexadecimal digits");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') Invalid("has a NUL");
    path += c;
  }
  return path;
}

std::string ReadAll(int fd, int64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  if (done < bytes.size()) throw Error(Code::kUnknown, "is a file that ends early");
  return bytes;
}

}  // namespace

UriReader::UriReader(const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    std::error_code error;
    const fs::path canonical = fs::canonical(directory, error);
    if (error || !fs::is_directory(canonical, error)) {
      throw Error(Code::kInvalidArgument,
                  Text("allow_files is ", ValidUtf8(directory, 200), ", expected a directory"),
                  "allow_files");
    }
    directories_.push_back(canonical);
  }
}

bool UriReader::Allows(const fs::path& path) const {
  return std::any_of(directories_.begin(), directories_.end(), [&](const fs::path& directory) {
    const auto [end, ignored] =
        std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
    return end == directory.end();
  });
}

std::string UriReader::Read(const std::string& uri, int64_t max_bytes) const {
  const std::string path = PathOf(uri);
  const auto refuse = [] {
    throw Error(Code::kPermissionDenied,
                "is a file outside the directories that this server reads");
  };
  if (directories_.empty()) refuse();
  // O_PATH opens without touching: no FIFO is waited for, no device woken.
  const OpenFile place(open(path.c_str(), O_PATH | O_CLOEXEC));
  std::error_code error;
  if (place.get() < 0) {
    if (!Allows(fs::weakly_canonical(path, error)) || error) refuse();
    throw Error(Code::kNotFound, "is a file that is not there");
  }
  const fs::path real = fs::read_symlink(place.link(), error);
  if (error || !Allows(real)) refuse();
  struct stat info {};
  if (fstat(place.get(), &info) != 0 || !S_ISREG(info.st_mode)) Invalid("is no regular file");
  if (info.st_size > max_bytes)
    Invalid(Text("has ", info.st_size, " bytes, expected at most ", max_bytes));
  // The same file again, whatever its path leads to by now.
  const OpenFile file(open(place.link().c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    throw Error(Code::kPermissionDenied, "is a file that the server may not read");
  return ReadAll(file.get(), info.st_size);
}

}  // namespace binocle
