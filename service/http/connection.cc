#include "service/http/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace binocle::http {
namespace {

constexpr int64_t kMaxHeadBytes = 64 << 10;
constexpr size_t kReadBytes = 64 << 10;
// For a head and a body that have begun when the server drains, and how soon that is noticed.
constexpr std::chrono::milliseconds kHurryHead{1'000}, kHurryBody{5'000}, kLookAgain{500};
// How long, and for how much, a client that still sends is listened to after its answer.
constexpr std::chrono::milliseconds kGentleTime{2'000};
constexpr int64_t kGentleBytes = int64_t{256} << 20;

// More than this waits here and not in the kernel, which would let it grow to megabytes and tell of room when a third is free: a client that
// reads at the least speed would take none for minutes.
constexpr int kMostUnsentBytes = 128 << 10;

// The time that a client has, when `bytes` have passed. What passed quickly buys no time to be slow or silent.
Clock::time_point Prolonged(Clock::time_point deadline, size_t bytes,
                            std::chrono::milliseconds most) {
  return std::min(deadline + TimeOf(static_cast<int64_t>(bytes)), Clock::now() + most);
}

// poll() until `deadline`; the events that came, 0 when the time is over.
short Await(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{.fd = fd, .events = events, .revents = 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    if (ready > 0) return wait.revents;
    if (ready == 0 && left <= 0) return 0;
    if (ready < 0 && errno != EINTR) return POLLERR;
  }
}

void NameOf(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
}

}  // namespace

Connection::Connection(socket_t socket, int stop_fd, const std::atomic<bool>& hurry,
                       const ConnectionLimits& limits)
    : socket_(socket), stop_fd_(stop_fd), hurry_(hurry), limits_(limits) {
  const int on = 1;
  // An event must leave at once: with Nagle's algorithm it waits for the acknowledgement of the one before, some 40 ms.
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kMostUnsentBytes, sizeof kMostUnsentBytes);
  // A host that is gone without a word is noticed when it acknowledges nothing.
  const auto unacknowledged = static_cast<unsigned>(limits.write.count());
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

bool Connection::AwaitRequest() {
  phase_ = Phase::kHead;
  chunks_.reset();
  phase_bytes_ = static_cast<int64_t>(buffer_.size() - taken_);
  const auto deadline = Clock::now() + limits_.idle;
  while (taken_ == buffer_.size()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wait[2] = {{.fd = socket_, .events = POLLIN, .revents = 0},
                      {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
    if (poll(wait, 2, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (wait[1].revents != 0) return false;
    if (wait[0].revents == 0) continue;
    phase_start_ = Clock::now();
    return Fill();
  }
  phase_start_ = Clock::now();
  return true;
}

std::optional<std::string_view> Connection::PeekHead() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  size_t looked = 0;  // no end begins before it
  for (;;) {
    const std::string_view come = std::string_view(buffer_).substr(taken_);
    const size_t end = come.find(kEnd, looked);
    if (end != std::string_view::npos) return come.substr(0, end);
    looked = come.size() - std::min(come.size(), kEnd.size() - 1);
    if (!Fill()) return std::nullopt;
  }
}

void Connection::ReplaceInHead(size_t at, size_t size, std::string_view text) {
  buffer_.replace(taken_ + at, size, text);
}

void Connection::BeginBody(BodyForm form) {
  phase_ = Phase::kBody;
  if (form == BodyForm::kChunked) chunks_.emplace();
  phase_bytes_ = 0;
  body_deadline_ = Clock::now() + limits_.body;
}

Clock::time_point Connection::ReadDeadline() {
  const bool head = phase_ == Phase::kHead;
  const Clock::time_point deadline = head ? phase_start_ + limits_.head : body_deadline_;
  if (!hurry_) return deadline;
  if (!hurried_) hurried_ = Clock::now();
  return std::min(deadline, *hurried_ + (head ? kHurryHead : kHurryBody));
}

bool Connection::Fill() {
  if (phase_ == Phase::kHead && phase_bytes_ >= kMaxHeadBytes) return false;
  buffer_.erase(0, std::exchange(taken_, 0));
  const size_t kept = buffer_.size();
  buffer_.resize(kept + kReadBytes);
  ssize_t got = -1;
  for (;;) {
    got = recv(socket_, buffer_.data() + kept, kReadBytes, MSG_DONTWAIT);
    if (got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) break;
    const Clock::time_point deadline = ReadDeadline();
    const Clock::time_point look = std::min(deadline, Clock::now() + kLookAgain);
    if (Await(socket_, POLLIN, look) != 0 || look != deadline) continue;
    late_ = phase_ == Phase::kBody;
    break;
  }
  const size_t come = got > 0 ? static_cast<size_t>(got) : 0;
  buffer_.resize(kept + come);
  phase_bytes_ += static_cast<int64_t>(come);
  if (phase_ == Phase::kBody) body_deadline_ = Prolonged(body_deadline_, come, limits_.body);
  return come > 0;
}

bool Connection::PeerIsGone() const {
  pollfd now{.fd = socket_, .events = POLLRDHUP, .revents = 0};
  return poll(&now, 1, 0) > 0;
}

bool Connection::is_readable() const { return taken_ < buffer_.size() || !PeerIsGone(); }

bool Connection::is_writable() const { return !broken_ && !PeerIsGone(); }

ssize_t Connection::read(char* ptr, size_t size) {
  if (taken_ == buffer_.size() && !Fill()) return -1;
  const size_t count = std::min(size, buffer_.size() - taken_);
  std::memcpy(ptr, buffer_.data() + taken_, count);
  taken_ += count;
  if (chunks_ && !chunks_->Accept({ptr, count})) return -1;
  return static_cast<ssize_t>(count);
}

// All of it, with one call of send() unless the kernel's buffer is full.
ssize_t Connection::write(const char* ptr, size_t size) {
  auto deadline = Clock::now() + limits_.write;
  size_t done = 0;
  while (done < size && !broken_) {
    const ssize_t sent = send(socket_, ptr + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      done += static_cast<size_t>(sent);
      deadline = Prolonged(deadline, static_cast<size_t>(sent), limits_.write);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      const short ready = Await(socket_, POLLOUT, deadline);
      broken_ = ready == 0 || (ready & (POLLERR | POLLHUP)) != 0;
    } else {
      broken_ = errno != EINTR;
    }
  }
  bytes_written_ += static_cast<int64_t>(done);
  return broken_ ? -1 : static_cast<ssize_t>(size);
}

void Connection::CloseGently() {
  if (broken_) return;
  shutdown(socket_, SHUT_WR);
  const auto deadline = Clock::now() + kGentleTime;
  int64_t bytes = 0;
  buffer_.resize(kReadBytes);
  while (bytes < kGentleBytes && Await(socket_, POLLIN, deadline) != 0) {
    const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got <= 0) return;
    bytes += got;
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    NameOf(address, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    NameOf(address, ip, port);
}

}  // namespace binocle::http
