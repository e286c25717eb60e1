// TCP sockets that wait until a deadline and no longer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace binocle {

// Absent: whenever it may be.
using SocketDeadline = std::optional<std::chrono::steady_clock::time_point>;

// How moving bytes ended.
enum class SocketEnd : uint8_t { kDone, kLeft, kLate };

class TcpSocket {
 public:
  TcpSocket() = default;
  explicit TcpSocket(int fd) : fd_(fd) {}
  ~TcpSocket() { Close(); }
  TcpSocket(TcpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TcpSocket& operator=(TcpSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  TcpSocket(const TcpSocket&) = delete;
  TcpSocket& operator=(const TcpSocket&) = delete;

  // One that listens for those who know this machine as `address`: on the loopback where that is written as such (127.0.0.1, ::1, localhost), on every interface otherwise, for what
  // others call a machine need not be an address of its own. Throws UNAVAILABLE with the system's words.
  static TcpSocket Listen(const std::string& address, int64_t port);
  // The next that connects to it; none by the deadline.
  TcpSocket Accept(const SocketDeadline& deadline) const;
  // One attempt, of at most five seconds for each address that the name has; none where nobody listens yet. Throws UNAVAILABLE for a name that has none.
  static TcpSocket Connect(const std::string& address, int64_t port,
                           const SocketDeadline& deadline);

  bool open() const { return fd_ >= 0; }
  void Close() noexcept;
  // Whether the peer has closed it, and nothing that it sent is left.
  bool Left() const;
  // From now on what was sent may wait so long for the peer to take it, or its machine to answer; then it has left.
  void BearWith(std::chrono::milliseconds patience) const;
  // What has come, without waiting for more: how many bytes, or none where the peer has left.
  std::optional<size_t> Take(std::span<std::byte> bytes) const;
  // Until one of them has something to take, to accept, or has left.
  static void WaitForAny(std::span<const TcpSocket* const> sockets, const SocketDeadline& deadline);
  SocketEnd Send(std::span<const std::byte> bytes, const SocketDeadline& deadline) const;
  SocketEnd Receive(std::span<std::byte> bytes, const SocketDeadline& deadline) const;

 private:
  // No Nagle, and a peer whose machine has gone is found also while nothing is sent.
  void SetOptions() const;

  int fd_ = -1;
};

}  // namespace binocle
