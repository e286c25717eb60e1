// How far a long run is: a bar on a terminal, a line now and then elsewhere. On stderr. Without a total it counts and draws no bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace binocle::cli {

class Progress {
 public:
  // `before`: of the total, what was done before this began, and says nothing of the rate.
  Progress(std::string what, std::optional<int64_t> total, int64_t before = 0);
  ~Progress() { Finish(); }
  // `note` goes behind the time left.
  void Advance(std::string note = {});
  void Finish();

 private:
  void Draw();
  std::string Line() const;

  std::string what_;
  std::optional<int64_t> total_;
  int64_t before_;
  int64_t done_;
  std::string note_;
  bool terminal_;
  bool drawn_ = false;
  bool finished_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace binocle::cli
