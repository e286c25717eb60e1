// Ctrl-C as a flag that running work looks at.
#pragma once

#include <csignal>
#include <initializer_list>
#include <vector>

namespace binocle::cli {

// While it lives, SIGINT sets a flag and does not end the program.
class InterruptFlag {
 public:
  // kEnds: a second SIGINT, which the work has not looked for, ends the program.
  enum class Again : bool { kSetsTheFlag, kEnds };
  explicit InterruptFlag(Again again = Again::kSetsTheFlag);
  // So do these signals. Others than SIGINT stay ignored where they are, as nohup has it.
  explicit InterruptFlag(std::initializer_list<int> signals);
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  static bool raised();
  static void Clear();

 private:
  std::vector<int> taken_;
};

}  // namespace binocle::cli
