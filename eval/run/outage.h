// Whether the server is gone for good.
#pragma once

#include <cstdint>

#include "binocle/error.h"

namespace binocle::eval {

// So many requests in a row that found nobody, each after its own attempts, are an outage; the rest is then not asked. One thread at a
// time.
class Outage {
 public:
  explicit Outage(int64_t requests) : limit_(requests) {}

  void Answered() { in_a_row_ = 0; }
  void Failed(Code code) { in_a_row_ = code == Code::kUnavailable ? in_a_row_ + 1 : 0; }
  bool is_there() const { return in_a_row_ >= limit_; }
  int64_t in_a_row() const { return in_a_row_; }

 private:
  int64_t limit_;
  int64_t in_a_row_ = 0;
};

}  // namespace binocle::eval
