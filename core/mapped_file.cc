#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Code CodeOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Code::kNotFound;
    case EACCES:
    case EPERM: return Code::kPermissionDenied;
    case ENOMEM:
    case EMFILE:
    case ENFILE: return Code::kResourceExhausted;
    case ENAMETOOLONG:
    case ELOOP: return Code::kInvalidArgument;
    default: return Code::kUnknown;
  }
}

// Opens a regular file. O_NONBLOCK so that a pipe without a writer is refused and not waited for.
int OpenRegular(const std::string& path, size_t& size) {
  if (path.find('\0') != std::string::npos)
    ThrowInvalid(path, ": is no path: it holds a NUL character");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    Throw(CodeOfErrno(error), path, ": ", error == ENOENT ? "no such file" : std::strerror(error));
  }
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    ThrowInvalid(path, ": is ", S_ISDIR(info.st_mode) ? "a directory" : "not a regular file",
                 ", expected a file");
  }
  size = static_cast<size_t>(info.st_size);
  return fd;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path.string()) {
  const Descriptor fd(OpenRegular(path_, size_));
  if (size_ == 0) return;
  void* mapping = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (mapping == MAP_FAILED)
    Throw(CodeOfErrno(errno), path_, ": cannot map ", size_, " bytes: ", std::strerror(errno));
  data_ = static_cast<const char*>(mapping);
  // Where the system has huge pages for files (Linux 6.16 for ext4), what is read into the cache from now on comes in such: a pass over
  // the weights reads up to a tenth faster, and begins without a fault for every 64 KiB. Elsewhere this changes nothing.
  if (size_ >= kHugePage) madvise(mapping, size_, MADV_HUGEPAGE);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

void PopulateMapped(const void* data, size_t bytes) {
  // MADV_POPULATE_READ; a system before Linux 5.14 does not know it, and pages come when they are read.
  constexpr int kPopulateRead = 22;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data) / page * page;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + bytes;
  madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateRead);
}

void ReleaseMapped(const void* data, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string ReadFile(const std::filesystem::path& path, size_t limit) {
  size_t size = 0;
  const Descriptor fd(OpenRegular(path.string(), size));
  if (size > limit)
    Throw(Code::kResourceExhausted, path.string(), ": is ", size, " bytes, the limit is ", limit);
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = read(fd.get(), content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Throw(CodeOfErrno(errno), path.string(), ": cannot read: ", std::strerror(errno));
    if (got == 0) break;  // the file shrank: what is left is what there is
    done += static_cast<size_t>(got);
  }
  content.resize(done);
  return content;
}

bool IsThere(const std::filesystem::path& path) {
  std::error_code failure;
  return std::filesystem::exists(path, failure) || failure;
}

}  // namespace binocle
