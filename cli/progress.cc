#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace binocle::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLogEvery = std::chrono::minutes(1);

// Columns of the terminal, or more than any line has.
int Width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 1000;
}

}  // namespace

Progress::Progress(std::string what, std::optional<int64_t> total, int64_t before)
    : what_(std::move(what)),
      total_(total),
      before_(before),
      done_(before),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void Progress::Advance(std::string note) {
  ++done_;
  note_ = std::move(note);
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
  // A line that wraps could not be drawn over.
  std::fprintf(stderr, "\r\x1b[K%s",
               Line().substr(0, static_cast<size_t>(std::max(Width() - 1, 1))).c_str());
  drawn_ = true;
}

std::string Progress::Line() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
  const double rate = static_cast<double>(done_ - before_) / std::max(passed.count(), 1e-9);
  char text[200];
  const std::string note = note_.empty() ? "" : "  " + note_;
  if (!total_) {
    std::snprintf(text, sizeof text, " %lld  %.1f/s", static_cast<long long>(done_), rate);
    return what_ + text + note;
  }
  const auto left =
      static_cast<int64_t>(static_cast<double>(*total_ - done_) / std::max(rate, 1e-9));
  std::snprintf(text, sizeof text, " %lld/%lld  %.1f/s  %lld:%02lld left",
                static_cast<long long>(done_), static_cast<long long>(*total_), rate,
                static_cast<long long>(left / 60), static_cast<long long>(left % 60));
  const std::string rest = text + note;
  const int bar =
      std::clamp(Width() - static_cast<int>(what_.size() + rest.size()) - 4, 0, kBarWidth);
  const int filled = *total_ > 0 ? static_cast<int>(bar * done_ / *total_) : bar;
  return what_ + " [" + std::string(static_cast<size_t>(filled), '#') +
         std::string(static_cast<size_t>(bar - filled), '.') + "]" + rest;
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  if (terminal_ && !total_ && done_ > 0) Draw();  // only now is the last count known to be the last
  if (drawn_) std::fputc('\n', stderr);
}

}  // namespace binocle::cli
