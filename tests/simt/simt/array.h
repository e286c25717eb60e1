// Device buffers for tests, in the emulator's arena: it knows their bounds and what was written.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "simt/memory.h"

namespace simt {

template <typename T>
class Array {
 public:
  // An input: kernels may not write it.
  Array(std::string name, const std::vector<T>& contents)
      : Array(std::move(name), contents, true) {}
  // In and out.
  static Array Writable(std::string name, const std::vector<T>& contents) {
    return Array(std::move(name), contents, false);
  }
  // Of undefined value: an output.
  Array(std::string name, size_t count)
      : count_(count),
        region_(&Memory::Instance().NewBuffer(
            std::move(name), {count * sizeof(T), sizeof(T) == 1 ? 1U : 2U, false, false})) {}
  ~Array() {
    if (region_ != nullptr) Memory::Instance().Free(*region_);
  }
  Array(Array&& other) noexcept
      : count_(other.count_), region_(std::exchange(other.region_, nullptr)) {}
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() const { return reinterpret_cast<T*>(region_->begin); }
  size_t size() const { return count_; }
  T operator[](size_t i) const { return data()[i]; }
  // Element i of an output, from the host: from then on it has a value.
  void Set(size_t i, T value) {
    data()[i] = value;
    for (size_t g = region_->CellOf(i * sizeof(T)); g <= region_->CellOf((i + 1) * sizeof(T) - 1);
         ++g)
      region_->cells[g].initialised = true;
  }
  std::span<const T> span() const { return {data(), count_}; }

  // From here on reads are counted, in checked builds.
  void CountReads() { region_->reads.assign(region_->cells.size(), 0); }
  // How often the first bytes of element i were read.
  uint32_t reads(size_t i) const { return region_->reads[region_->CellOf(i * sizeof(T))]; }

 private:
  Array(std::string name, const std::vector<T>& contents, bool read_only)
      : count_(contents.size()),
        region_(&Memory::Instance().NewBuffer(
            std::move(name), {count_ * sizeof(T), sizeof(T) == 1 ? 1U : 2U, true, read_only})) {
    if (count_ > 0) std::memcpy(data(), contents.data(), count_ * sizeof(T));
  }

  size_t count_;
  Region* region_;
};

// Counts, in checked builds, how often kernels read memory that is not the emulator's own: a module's (simt_module.h).
class WatchedReads {
 public:
  WatchedReads(std::string name, const void* begin, size_t bytes)
      : region_(Memory::Instance().Watch(std::move(name), begin, bytes)) {
    region_.reads.assign(region_.cells.size(), 0);
  }
  ~WatchedReads() { Memory::Instance().Forget(region_); }
  WatchedReads(const WatchedReads&) = delete;
  WatchedReads& operator=(const WatchedReads&) = delete;

  // Of the two bytes at `offset`.
  uint32_t At(size_t offset) const { return region_.reads[region_.CellOf(offset)]; }

 private:
  Region& region_;
};

}  // namespace simt
