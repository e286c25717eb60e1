#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace binocle::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLogEvery = std::chrono::minutes(1);

}  // namespace

Progress::Progress(std::string what, std::optional<int64_t> total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void Progress::Advance() {
  ++done_;
  if (total_) total_ = std::max(*total_, done_);  // a file may grow while it is read
  const auto now = std::chrono::steady_clock::now();
  if (terminal_ && (now - last_ >= kRedraw || done_ == total_)) {
    Draw();
    last_ = now;
  } else if (!terminal_ && now - last_ >= kLogEvery) {
    std::fprintf(stderr, "%s\n", Line().c_str());
    last_ = now;
  }
}

void Progress::Draw() {
  std::fprintf(stderr, "\r\x1b[K%s", Line().c_str());
  drawn_ = true;
}

std::string Progress::Line() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
  const double rate = static_cast<double>(done_) / std::max(passed.count(), 1e-9);
  char line[200];
  if (!total_) {
    std::snprintf(line, sizeof line, "%s %lld  %.1f/s", what_.c_str(),
                  static_cast<long long>(done_), rate);
    return line;
  }
  const auto left =
      static_cast<int64_t>(static_cast<double>(*total_ - done_) / std::max(rate, 1e-9));
  const int filled = *total_ > 0 ? static_cast<int>(kBarWidth * done_ / *total_) : kBarWidth;
  std::snprintf(line, sizeof line, "%s [%s%s] %lld/%lld  %.1f/s  %lld:%02lld left", what_.c_str(),
                std::string(static_cast<size_t>(filled), '#').c_str(),
                std::string(static_cast<size_t>(kBarWidth - filled), '.').c_str(),
                static_cast<long long>(done_), static_cast<long long>(*total_), rate,
                static_cast<long long>(left / 60), static_cast<long long>(left % 60));
  return line;
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  if (terminal_ && !total_ && done_ > 0) Draw();  // only now is the last count known to be the last
  if (drawn_) std::fputc('\n', stderr);
}

}  // namespace binocle::cli
