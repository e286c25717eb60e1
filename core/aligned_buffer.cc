#include "core/aligned_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

// Below this size a mapping of its own wastes more than it gains.
constexpr int64_t kMapThreshold = int64_t{1} << 20;

}  // namespace

AlignedBuffer::AlignedBuffer(int64_t bytes) : size_(bytes) {
  BINOCLE_CHECK(bytes >= 0, bytes);
  if (bytes == 0) return;
  if (bytes < kMapThreshold) {
    const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    data_ = std::aligned_alloc(kAlignment, static_cast<size_t>(rounded));
    if (data_ != nullptr) std::memset(data_, 0, static_cast<size_t>(rounded));
  } else {
    data_ = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data_ == MAP_FAILED) data_ = nullptr;
    if (data_ != nullptr) madvise(data_, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  }
  if (data_ == nullptr) {
    size_ = 0;
    Throw(Code::kResourceExhausted, "out of memory: the system refused ", bytes, " bytes");
  }
}

void AlignedBuffer::Commit(int64_t bytes) const {
  if (size_ < kMapThreshold) return;  // was zeroed by hand
  // MADV_POPULATE_WRITE; a system before Linux 5.14 does not know it, and pages come when they are touched.
  constexpr int kPopulateWrite = 23;
  madvise(data_, static_cast<size_t>(std::min(bytes, size_)), kPopulateWrite);
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ == nullptr) return;
  if (size_ < kMapThreshold) {
    std::free(data_);
  } else {
    munmap(data_, static_cast<size_t>(size_));
  }
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace binocle
