// Writes the lines of a log to a descriptor from a thread of its own.
//
// Whoever reads a log through a pipe may stop reading, and a write to a full pipe waits for him: the thread of a call, or of an engine, must not. Lines
// that find no room are dropped, and a line says how many.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace binocle::cli {

class LogWriter {
 public:
  // `descriptor` stays the caller's. Lines wait in at most `max_bytes`.
  explicit LogWriter(int descriptor, size_t max_bytes = 4 << 20);
  // Writes what waits, as long as it is taken within a second.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // A line without its end, from any thread; returns at once.
  void Write(std::string_view line);

 private:
  void Run();
  // The next lines, and before them how many were dropped; waits for some. Empty: it is over.
  std::string Next();
  bool WriteAll(std::string_view bytes);

  const int descriptor_;
  const size_t max_bytes_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  size_t bytes_ = 0;  // of the lines
  int64_t dropped_ = 0;
  bool over_ = false;
  std::thread thread_;  // after what it uses
};

}  // namespace binocle::cli
