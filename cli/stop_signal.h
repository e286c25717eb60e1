// SIGTERM and SIGINT as something to wait for.
#pragma once

#include <chrono>

namespace binocle::cli {

// From its making on, this thread and those that it starts leave both signals to WaitFor. Made before any other thread.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Waits for the next one. False: none came in this time.
  bool WaitFor(std::chrono::milliseconds time) const;

 private:
  int descriptor_;
};

}  // namespace binocle::cli
