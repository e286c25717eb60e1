#include "service/grpc/acceptor.h"

#include <grpcpp/server_builder.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "binocle/error.h"
#include "service/common/address.h"
#include "service/common/descriptors.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr int kBacklog = 1024;

[[noreturn]] void Fail(const std::string& listen, const std::string& why) {
  throw Error(Code::kUnavailable,
              Text("listen is ", ValidUtf8(listen, 200), ", which cannot be had: ", why), "listen");
}

bool IsSocketFile(const std::string& path, struct stat& file) {
  return lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
}

}  // namespace

// A file descriptor of a socket.
class Acceptor::Socket {
 public:
  Socket(int family, int protocol)
      : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }

  int fd() const { return fd_; }
  bool Set(int level, int option, int value) {
    return setsockopt(fd_, level, option, &value, sizeof value) == 0;
  }
  // 0, or what errno says.
  int Listen(const sockaddr* address, socklen_t size) {
    return fd_ >= 0 && bind(fd_, address, size) == 0 && listen(fd_, kBacklog) == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

Acceptor::Acceptor(const std::string& listen) {
  if (IsUnixSocket(listen)) {
    ListenAtFile(UnixSocketPath(listen));
  } else {
    ListenAtPort(listen);
  }
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  if (stop_fd_ < 0) Fail(listen, std::strerror(errno));
}

Acceptor::~Acceptor() {
  Stop();
  if (stop_fd_ >= 0) close(stop_fd_);
}

void Acceptor::ListenAtFile(const std::string& path) {
  const std::string listen = "unix:" + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const auto* const where = reinterpret_cast<const sockaddr*>(&address);

  struct stat file {};
  if (IsSocketFile(path, file)) {
    const Socket probe(AF_UNIX, 0);
    if (connect(probe.fd(), where, sizeof address) == 0 || errno != ECONNREFUSED)
      Fail(listen, "another process listens there");
    unlink(path.c_str());  // left behind by one that was killed
  }
  Socket socket(AF_UNIX, 0);
  if (const int error = socket.Listen(where, sizeof address))
    Fail(listen, error == EADDRINUSE ? "there is a file that is no socket" : std::strerror(error));
  if (IsSocketFile(path, file)) {
    file_ = path;
    file_id_ = file.st_ino;
  }
  sockets_.push_back(std::move(socket));
}

void Acceptor::ListenAtPort(const std::string& listen) {
  const Address address = ParseAddress("listen", listen);
  port_ = address.port;
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_ADDRCONFIG;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address.host.c_str(), "0", &hints, &found))
    Fail(listen, gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);

  int error = 0;
  const bool several = found->ai_next != nullptr;
  for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Socket socket(at->ai_family, at->ai_protocol);
    // Not SO_REUSEPORT: a second server would seem to start. "[::]" stands for version 4 as well, where that has no address of its own.
    socket.Set(SOL_SOCKET, SO_REUSEADDR, 1);
    socket.Set(IPPROTO_TCP, TCP_NODELAY, 1);  // what is accepted has it from here
    if (at->ai_family == AF_INET6) socket.Set(IPPROTO_IPV6, IPV6_V6ONLY, several ? 1 : 0);
    // The port is at the same place in both versions' addresses.
    reinterpret_cast<sockaddr_in*>(at->ai_addr)->sin_port = htons(static_cast<uint16_t>(port_));
    error = socket.Listen(at->ai_addr, at->ai_addrlen);
    // A name's version 6 is often in /etc/hosts where the machine has none.
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) continue;
    if (error != 0) break;
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&bound), &size);
    port_ = ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
    sockets_.push_back(std::move(socket));
  }
  const bool missing = error != 0 && error != EADDRNOTAVAIL && error != EAFNOSUPPORT;
  if (sockets_.empty() || missing) Fail(listen, std::strerror(error));
}

void Acceptor::Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> gate,
                     std::chrono::milliseconds stall_limit) {
  gate_ = std::move(gate);
  stall_limit_ = static_cast<int>(stall_limit.count());
  thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    while (write(stop_fd_, &one, sizeof one) < 0 && errno == EINTR) continue;
    thread_.join();
  }
  sockets_.clear();
  struct stat file {};
  if (!file_.empty() && IsSocketFile(file_, file) && file.st_ino == file_id_) unlink(file_.c_str());
  file_.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> waiting{{.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  for (const Socket& socket : sockets_)
    waiting.push_back({.fd = socket.fd(), .events = POLLIN, .revents = 0});
  for (;;) {
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;  // EINTR
    if (waiting[0].revents != 0) return;
    for (size_t i = 1; i < waiting.size(); ++i)
      if (waiting[i].revents != 0) Accept(waiting[i].fd);
  }
}

void Acceptor::Accept(int listening) {
  const int fd = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    // None left: those that others let go of come back. The connection waits in the backlog meanwhile.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return;
  }
  if (fd >= FirstReservedDescriptor()) {
    ++refused_;
    close(fd);
    return;
  }
  // A listener's own would miss who connected before it was set. Of a socket file this fails, as it should.
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_limit_, sizeof stall_limit_);
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listening;
  connection.fd = fd;
  gate_->HandleNewConnection(&connection);
}

}  // namespace binocle
