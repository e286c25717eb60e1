// Zeroed memory from the operating system, aligned for the widest vectors and backed by huge pages where the system has them.
#pragma once

#include <cstdint>

namespace binocle {

// Pages are committed when first touched, so an unused part of a large buffer costs no memory. Moves, does not copy.
class AlignedBuffer {
 public:
  static constexpr int64_t kAlignment = 64;

  AlignedBuffer() = default;
  // Throws RESOURCE_EXHAUSTED when the system refuses.
  explicit AlignedBuffer(int64_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;

  void* data() const { return data_; }
  int64_t size() const { return size_; }
  // Commits the pages of the first `bytes` now, so that nobody waits for the system when they are first touched. Contents stay.
  void Commit(int64_t bytes) const;
  void Commit() const { Commit(size_); }

 private:
  void* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace binocle
