// Numbers that look random and are the same everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace binocle::testing {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  size_t Below(size_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state_ >> 33) % n);
  }

 private:
  uint64_t state_;
};

}  // namespace binocle::testing
