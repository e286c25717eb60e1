#include "cli/byte_progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "binocle/error.h"

namespace binocle::cli {

ByteProgress::ByteProgress(std::string what)
    : what_(std::move(what)),
      terminal_(isatty(STDERR_FILENO) != 0),
      interrupt_({SIGINT, SIGTERM, SIGHUP}) {}

void ByteProgress::Show(int64_t done, int64_t total) {
  if (InterruptFlag::raised()) {
    Finish();
    throw Error(Code::kCancelled, what_ + ": stopped; nothing is left of it");
  }
  if (!terminal_ || total == 0) return;
  const auto percent =
      static_cast<int>(100 * (static_cast<double>(done) / static_cast<double>(total)));
  if (percent == percent_) return;
  percent_ = percent;
  std::fprintf(stderr, "\r%s %3d %% of %.1f GiB", what_.c_str(), percent,
               static_cast<double>(total) / (1 << 30));
}

void ByteProgress::Finish() {
  if (percent_ >= 0) std::fprintf(stderr, "\r\x1b[K");
  percent_ = -1;
}

}  // namespace binocle::cli
