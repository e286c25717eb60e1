// A client's socket with deadlines, as cpp-httplib reads and writes it.
//
// The library's own streams wait for each byte anew, so that a client that sends one now and then holds a thread for good; here heads,
// bodies and writes have an end. Used by one thread.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "service/common/waiting.h"
#include "service/http/chunk_framing.h"

namespace binocle::http {

using Clock = std::chrono::steady_clock;

struct ConnectionLimits {
  std::chrono::milliseconds idle{30'000};  // between two requests
  std::chrono::milliseconds head{
      10'000};  // from the first byte of a request to the end of its headers
  std::chrono::milliseconds body{
      30'000};  // for a body, beside the time that its bytes have at kLeastBytesPerSecond
  std::chrono::milliseconds write{30'000};  // for a write, likewise
};

class Connection : public httplib::Stream {
 public:
  // Borrows what it is given. `stop_fd` becomes readable when idle connections should end; with `hurry` a head has
  // one second left, a body five.
  Connection(socket_t socket, int stop_fd, const std::atomic<bool>& hurry,
             const ConnectionLimits& limits);

  // Waits for the first byte of a request; false: there will be none.
  bool AwaitRequest();
  // The head of the request, without its empty line, before it is read; none: it does not come whole, as those who read on will find.
  // Points into what ReplaceInHead and reads change.
  std::optional<std::string_view> PeekHead();
  void ReplaceInHead(size_t at, size_t size, std::string_view text);

  // Reads after this belong to the body. One in chunks fails where its framing does.
  enum class BodyForm : bool { kPlain, kChunked };
  void BeginBody(BodyForm form);
  // Why a body in chunks is none; empty: it may be.
  std::string body_fault() const { return chunks_ ? chunks_->fault() : std::string(); }
  // The body came too slowly, and there is no more of it.
  bool late() const { return late_; }
  // The client has closed its side, or the connection is broken.
  bool PeerIsGone() const;
  // Answers still on their way arrive although the client is sending: stops writing, then discards what comes for a while.
  void CloseGently();

  // A write has failed or took too long.
  bool broken() const { return broken_; }
  int64_t bytes_written() const { return bytes_written_; }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* ptr, size_t size) override;
  ssize_t write(const char* ptr, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  // None: what the library wants with it is to refuse numbers above 1023, which select() cannot wait for. We use poll().
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  enum class Phase { kHead, kBody };

  // Adds to what is not taken. False: the time is over, the connection broken, or the head too long.
  bool Fill();
  Clock::time_point ReadDeadline();

  socket_t socket_;
  int stop_fd_;
  const std::atomic<bool>& hurry_;
  std::optional<Clock::time_point> hurried_;  // since when
  ConnectionLimits limits_;
  Phase phase_ = Phase::kHead;
  Clock::time_point phase_start_;
  Clock::time_point body_deadline_;
  bool late_ = false;
  int64_t phase_bytes_ = 0;
  int64_t bytes_written_ = 0;
  bool broken_ = false;
  std::optional<ChunkFraming> chunks_;  // of the body that is being read
  std::string buffer_;                  // read but not taken
  size_t taken_ = 0;
};

}  // namespace binocle::http
