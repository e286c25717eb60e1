#include "cli/log_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

namespace binocle::cli {

LogWriter::LogWriter(int descriptor, size_t max_bytes)
    : descriptor_(descriptor), max_bytes_(max_bytes) {
  // Signals are for whoever waits for them: a thread inherits what is blocked where it is made.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogWriter::~LogWriter() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LogWriter::Write(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (bytes_ + line.size() > max_bytes_) {
      ++dropped_;
      return;
    }
    bytes_ += line.size();
    lines_.emplace_back(line);
  }
  changed_.notify_one();
}

std::string LogWriter::Next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return over_ || !lines_.empty() || dropped_ > 0; });
  std::string bytes;
  for (const std::string& line : lines_) bytes.append(line).append("\n");
  if (const int64_t dropped = std::exchange(dropped_, 0); dropped > 0) {
    bytes.append(R"({"event":"warning","message":"lines of the log that nobody read in time: )")
        .append(std::to_string(dropped))
        .append("\"}\n");
  }
  lines_.clear();
  bytes_ = 0;
  return bytes;
}

void LogWriter::Run() {
  for (;;) {
    const std::string bytes = Next();
    if (bytes.empty() || !WriteAll(bytes)) return;
  }
}

// A pipe that poll() calls ready takes PIPE_BUF bytes at least without waiting.
bool LogWriter::WriteAll(std::string_view bytes) {
  constexpr std::chrono::milliseconds kLook{100};
  constexpr int kLooksAtTheEnd = 10;
  int looks = 0;
  while (!bytes.empty()) {
    pollfd room{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (poll(&room, 1, static_cast<int>(kLook.count())) <= 0) {
      const std::lock_guard lock(mutex_);
      if (over_ && ++looks >= kLooksAtTheEnd) return false;
      continue;
    }
    const ssize_t written =
        write(descriptor_, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
    if (written < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace binocle::cli
