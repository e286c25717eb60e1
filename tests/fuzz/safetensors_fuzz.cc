// Any bytes as a safetensors file. What comes out must lie inside the file and fit its shape; every byte is read.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/convert.h"
#include "core/safetensors.h"

namespace {

using binocle::TensorView;

// A file in memory with a path, since SafetensorsFile maps what it reads.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size)
      : fd_(memfd_create("fuzz.safetensors", MFD_CLOEXEC)) {
    BINOCLE_CHECK(fd_ >= 0, "memfd_create");
    BINOCLE_CHECK(write(fd_, data, size) == static_cast<ssize_t>(size), "write of ", size);
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void ReadAll(const TensorView& tensor) {
  volatile char last = 0;
  const auto* bytes = static_cast<const char*>(tensor.data());
  for (int64_t i = 0; i < tensor.elements() * binocle::DTypeSize(tensor.dtype()); ++i)
    last = bytes[i];
  static_cast<void>(last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const MemoryFile memory(data, size);
  try {
    const binocle::SafetensorsFile file(memory.path());
    int64_t total = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      BINOCLE_CHECK(tensor.name() == name, name);
      ReadAll(tensor);
      total += tensor.elements() * binocle::DTypeSize(tensor.dtype());
    }
    BINOCLE_CHECK(total <= static_cast<int64_t>(size), "tensors of ", total, " bytes in ", size);
  } catch (const binocle::Error&) {
    // The only exception that may come out.
  }
  return 0;
}
