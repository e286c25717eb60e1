// Ctrl-C as a flag that running work looks at.
#pragma once

namespace binocle::cli {

// While it lives, SIGINT sets a flag and does not end the program.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  static bool raised();
  static void Clear();
};

}  // namespace binocle::cli
