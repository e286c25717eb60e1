// How far a file that is being written is: a line on stderr where that is a terminal. Ctrl-C meanwhile ends the writing, as do SIGTERM and SIGHUP, so
// that what is half written goes.
#pragma once

#include <cstdint>
#include <string>

#include "cli/interrupt.h"

namespace binocle::cli {

class ByteProgress {
 public:
  explicit ByteProgress(std::string what);
  ~ByteProgress() { Finish(); }
  ByteProgress(const ByteProgress&) = delete;
  ByteProgress& operator=(const ByteProgress&) = delete;

  // Throws CANCELLED after one of them.
  void Show(int64_t done, int64_t total);
  void Finish();

 private:
  std::string what_;
  bool terminal_;
  int percent_ = -1;  // on the line
  const InterruptFlag interrupt_;
};

}  // namespace binocle::cli
