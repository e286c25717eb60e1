#include "core/parallel/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

#include "core/error.h"

namespace binocle {
namespace {

constexpr int kKeepAliveSeconds = 5, kKeepAliveInterval = 5, kKeepAliveProbes = 3;
// Of one address of several: the first may be of a network that this machine has no way to.
constexpr std::chrono::seconds kToConnect{5};

std::string SystemWords(int error) { return std::generic_category().message(error); }

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// Without a name: the addresses of all interfaces.
Addresses Resolve(const std::string& address, int64_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (address.empty() ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int status = getaddrinfo(address.empty() ? nullptr : address.c_str(),
                                 std::to_string(port).c_str(), &hints, &found);
  if (status != 0)
    Throw(Code::kUnavailable, "tensor_parallel: the address ", Printable(address, 80), ": ",
          gai_strerror(status));
  return Addresses(found);
}

bool IsLoopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

// A connection to a port of the range that connections come from may be answered by itself.
bool IsItsOwnPeer(int fd) {
  sockaddr_storage own{}, peer{};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 &&
         own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
}

TcpSocket NewSocket(const addrinfo& at) {
  return TcpSocket(
      socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, at.ai_protocol));
}

// Until one of them is ready; false at the deadline.
bool WaitFor(std::span<pollfd> waiting, const SocketDeadline& deadline) {
  while (true) {
    int milliseconds = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      milliseconds = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
    }
    const int ready = poll(waiting.data(), waiting.size(), milliseconds);
    if (ready > 0) return true;
    if (ready == 0 && deadline && std::chrono::steady_clock::now() >= *deadline) return false;
    if (ready < 0 && errno != EINTR) return true;  // what is tried next tells
  }
}

bool WaitFor(int fd, int16_t events, const SocketDeadline& deadline) {
  pollfd waiting{.fd = fd, .events = events, .revents = 0};
  return WaitFor({&waiting, 1}, deadline);
}

// `move` all of the bytes, a part at a time.
template <typename Byte, typename Move>
SocketEnd MoveAll(int fd, std::span<Byte> bytes, int16_t events, const SocketDeadline& deadline,
                  const Move& move) {
  while (!bytes.empty()) {
    const ssize_t moved = move(bytes);
    if (moved > 0) {
      bytes = bytes.subspan(static_cast<size_t>(moved));
    } else if (moved == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      return SocketEnd::kLeft;
    } else if (errno != EINTR && !WaitFor(fd, events, deadline)) {
      return SocketEnd::kLate;
    }
  }
  return SocketEnd::kDone;
}

}  // namespace

void TcpSocket::Close() noexcept {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

bool TcpSocket::Left() const {
  char next = 0;
  const ssize_t there = recv(fd_, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return there == 0 || (there < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void TcpSocket::SetOptions() const {
  const auto set = [&](int level, int name, int value) {
    setsockopt(fd_, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
}

void TcpSocket::BearWith(std::chrono::milliseconds patience) const {
  const auto milliseconds =
      static_cast<unsigned>(std::clamp<int64_t>(patience.count(), 1, 1 << 30));
  setsockopt(fd_, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

std::optional<size_t> TcpSocket::Take(std::span<std::byte> bytes) const {
  const ssize_t taken = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (taken > 0) return static_cast<size_t>(taken);
  if (taken < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return std::nullopt;
}

void TcpSocket::WaitForAny(std::span<const TcpSocket* const> sockets,
                           const SocketDeadline& deadline) {
  std::vector<pollfd> waiting;
  for (const TcpSocket* socket : sockets)
    waiting.push_back({.fd = socket->fd_, .events = POLLIN, .revents = 0});
  WaitFor(waiting, deadline);
}

TcpSocket TcpSocket::Listen(const std::string& address, int64_t port) {
  const Addresses addresses = Resolve(IsLoopback(address) ? address : "", port);
  int problem = 0;
  // One socket of IPv6 takes IPv4 as well, where the system has both; it may list either first.
  for (const int family : {AF_INET6, AF_INET}) {
    for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
      if (at->ai_family != family) continue;
      TcpSocket listening = NewSocket(*at);
      const int on = 1, off = 0;
      if (listening.open()) {
        setsockopt(listening.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (family == AF_INET6)
          setsockopt(listening.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(listening.fd_, at->ai_addr, at->ai_addrlen) == 0 &&
            listen(listening.fd_, SOMAXCONN) == 0)
          return listening;
      }
      problem = errno;
    }
  }
  Throw(Code::kUnavailable, "tensor_parallel: rank 0 cannot listen at ", Printable(address, 80),
        ":", port, ": ", SystemWords(problem));
}

TcpSocket TcpSocket::Accept(const SocketDeadline& deadline) const {
  while (WaitFor(fd_, POLLIN, deadline)) {
    TcpSocket accepted(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted.open()) continue;  // it has gone again
    accepted.SetOptions();
    return accepted;
  }
  return {};
}

TcpSocket TcpSocket::Connect(const std::string& address, int64_t port,
                             const SocketDeadline& deadline) {
  const Addresses addresses = Resolve(address, port);
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    TcpSocket connecting = NewSocket(*at);
    if (!connecting.open()) continue;
    if (connect(connecting.fd_, at->ai_addr, at->ai_addrlen) != 0) {
      SocketDeadline until = std::chrono::steady_clock::now() + kToConnect;
      if (deadline) until = std::min(*until, *deadline);
      if (errno != EINPROGRESS || !WaitFor(connecting.fd_, POLLOUT, until)) continue;
      int problem = 0;
      socklen_t size = sizeof problem;
      getsockopt(connecting.fd_, SOL_SOCKET, SO_ERROR, &problem, &size);
      if (problem != 0) continue;
    }
    if (IsItsOwnPeer(connecting.fd_)) continue;
    connecting.SetOptions();
    return connecting;
  }
  return {};
}

SocketEnd TcpSocket::Send(std::span<const std::byte> bytes, const SocketDeadline& deadline) const {
  return MoveAll(fd_, bytes, POLLOUT, deadline, [&](std::span<const std::byte> left) {
    return send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
  });
}

SocketEnd TcpSocket::Receive(std::span<std::byte> bytes, const SocketDeadline& deadline) const {
  return MoveAll(fd_, bytes, POLLIN, deadline,
                 [&](std::span<std::byte> left) { return recv(fd_, left.data(), left.size(), 0); });
}

}  // namespace binocle
