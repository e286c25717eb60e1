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

  // One that listens. Throws UNAVAILABLE with the system's words.
  static TcpSocket Listen(const std::string& address, int64_t port);
  // The next that connects to it; none by the deadline.
  TcpSocket Accept(const SocketDeadline& deadline) const;
  // One attempt; none where nobody listens yet. Throws UNAVAILABLE for an address that does not exist.
  static TcpSocket Connect(const std::string& address, int64_t port,
                           const SocketDeadline& deadline);

  bool open() const { return fd_ >= 0; }
  void Close() noexcept;
  // Whether the peer has closed it, and nothing that it sent is left.
  bool Left() const;
  SocketEnd Send(std::span<const std::byte> bytes, const SocketDeadline& deadline) const;
  SocketEnd Receive(std::span<std::byte> bytes, const SocketDeadline& deadline) const;

 private:
  // No Nagle, and a peer whose machine has gone is found within half a minute, also while nothing is sent.
  void SetOptions() const;

  int fd_ = -1;
};

}  // namespace binocle
