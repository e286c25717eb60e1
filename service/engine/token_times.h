// When tokens came out, over all answers of a request.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "binocle/request.h"

namespace binocle {

class TokenTimes {
 public:
  using Clock = std::chrono::steady_clock;

  // A token of an answer has just been sampled.
  void Record(bool first_of_answer) {
    const Clock::time_point now = Clock::now();
    if (!first_) first_ = now;
    if (!first_of_answer) {
      between_ += now - last_;
      ++gaps_;
    }
    last_ = now;
  }

  // Fills first_token and per_token of a request that began at `start`.
  void Report(Clock::time_point start, Timings& timings) const {
    using Milliseconds = std::chrono::duration<double, std::milli>;
    if (first_) timings.first_token = Milliseconds(*first_ - start).count();
    if (gaps_ > 0) timings.per_token = Milliseconds(between_).count() / static_cast<double>(gaps_);
  }

 private:
  std::optional<Clock::time_point> first_;
  Clock::time_point last_{};
  Clock::duration between_{};  // over pairs of neighbours in one answer
  int64_t gaps_ = 0;
};

}  // namespace binocle
