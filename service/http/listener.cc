#include "service/http/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "binocle/busy_error.h"
#include "binocle/error.h"
#include "service/common/descriptors.h"
#include "service/http/body_decoder.h"
#include "service/http/connection_threads.h"
#include "service/http/request_head.h"

namespace binocle::http {
namespace {

constexpr int kBacklog =
    512;  // the library's is 5, and a burst of clients waits a second for its second try
constexpr size_t kMaxPathBytes =
    512;  // no endpoint is longer; the library's router recurses once per byte
// Connections above the limit that may ask whether the server lives, and for how long they may take to.
constexpr int kLateConnections = 4;
constexpr std::chrono::milliseconds kLatePatience{2'000};

bool AsksHowTheServerIs(const httplib::Request& request) {
  return request.method == "GET" && (request.path == "/healthz" || request.path == "/readyz");
}

// The request that this thread is working on. The library gives handlers neither the stream nor a place to put something beside the
// request; nothing outside this file sees it.
struct Current {
  Connection* connection = nullptr;
  RequestHead head;
  bool handled = false;  // by us, not refused by the library
  bool late = false;     // of a connection above the limit
  bool streaming = false;
  bool body_is_left = false;  // on the connection, which can serve no other request then
  bool closing = false;
  bool cut = false;
  FinishedExchange finished;
  std::string encoding;         // Content-Encoding of the body
  std::shared_ptr<void> lease;  // the caller's, who alone knows what it is
  std::shared_ptr<void> kept;   // likewise
};
thread_local Current* current = nullptr;

bool IsBodyExpected(const httplib::Request& request) {
  return request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
}

// They are digits: ReadHead has seen to it.
int64_t ContentLength(const httplib::Request& request) {
  if (!request.has_header("Content-Length")) return 0;
  const std::string text = request.get_header_value("Content-Length");
  int64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error == std::errc() ? length : INT64_MAX;
}

// Of every body, for which no room is taken: questions without pictures are always read.
constexpr size_t kFreeBodyBytes = 64 << 10;

int64_t RoomFor(size_t body_bytes) {
  return static_cast<int64_t>(body_bytes - std::min(body_bytes, kFreeBodyBytes));
}

// False: there is no room for it.
bool Append(std::string_view piece, size_t max_bytes, BodyRoom& room, Body& body) {
  const size_t before = body.text.size(), after = before + piece.size();
  BodyRoom::Share moving;  // while a string grows it is there twice
  if (after > body.text.capacity()) {
    if (!room.TryTake(RoomFor(before), moving)) return false;
    body.text.reserve(std::max(after, std::min(2 * body.text.capacity(), max_bytes)));
  }
  if (!room.TryTake(RoomFor(after) - RoomFor(before), body.share)) return false;
  body.text.append(piece);
  return true;
}

// The library's own allow several processes to share a port, so that a second server would seem to start.
void SetSocketOptions(socket_t socket) {
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

// The library tells only that it could not bind.
bool IsHost(const std::string& host) {
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

// The library knows no absolute-form targets; it is given the path.
RequestHead TakeHead(Connection& connection) {
  const std::optional<std::string_view> come = connection.PeekHead();
  if (!come) {
    RequestHead none;  // by looser rules than ours the library might find one in what has come
    none.fault = "the head does not come whole, expected header lines and an empty line";
    return none;
  }
  RequestHead head = ReadHead(*come);
  for (auto line = head.to_leave_out.rbegin(); line != head.to_leave_out.rend(); ++line)
    connection.ReplaceInHead(line->at, line->size, "");
  if (head.authority_size > 0)
    connection.ReplaceInHead(head.authority_at, head.authority_size, head.has_path ? "" : "/");
  return head;
}

class SinkStream : public EventStream {
 public:
  explicit SinkStream(httplib::DataSink& sink) : sink_(sink) {}
  bool Send(std::string_view event) override { return sink_.write(event.data(), event.size()); }
  bool PeerIsGone() const override { return current->connection->PeerIsGone(); }
  void Ending() override { current->lease.reset(); }
  void Failed(int status) override {
    constexpr int kClientsDoing = 499;
    current->finished.status = status;
    current->cut = status == kClientsDoing;
  }

 private:
  httplib::DataSink& sink_;
};

}  // namespace

class Listener::HttplibExchange : public Exchange {
 public:
  HttplibExchange(const httplib::Request& request, httplib::Response& response,
                  const httplib::ContentReader* reader, int64_t max_body_bytes, BodyRoom& room)
      : request_(request),
        response_(response),
        reader_(reader),
        max_body_bytes_(max_body_bytes),
        room_(room) {}

  const std::string& method() const override { return request_.method; }
  const std::string& path() const override { return request_.path; }
  std::string Header(const std::string& name) const override {
    return request_.get_header_value(name.c_str());
  }

  Body ReadBody() override {
    Body body;
    if (reader_ == nullptr || !IsBodyExpected(request_)) return body;
    if (ContentLength(request_) > max_body_bytes_) throw BodyIsTooLarge{max_body_bytes_};
    const std::unique_ptr<BodyDecoder> decoder = MakeBodyDecoder(current->encoding);
    if (decoder == nullptr) throw UnknownEncoding{current->encoding};
    current->connection->BeginBody(current->head.chunked ? Connection::BodyForm::kChunked
                                                         : Connection::BodyForm::kPlain);
    const auto most = static_cast<size_t>(max_body_bytes_);
    bool fits = true, has_room = true;
    body.text.reserve(std::min(static_cast<size_t>(ContentLength(request_)), most));
    const auto take = [&](std::string_view bytes) {
      fits = body.text.size() + bytes.size() <= most;
      has_room = fits && Append(bytes, most, room_, body);
      return has_room;
    };
    const bool whole = (*reader_)([&](const char* data, size_t size) {
      return decoder->Accept({data, size}, take);
    });
    // The library sets a status of its own when reading ends early.
    response_.status = -1;
    if (!fits) throw BodyIsTooLarge{max_body_bytes_};
    if (!has_room) throw BusyError("bodies: as many bytes are on their way in as may");
    if (std::string why = connection_.body_fault(); !why.empty()) throw BodyIsMalformed{why};
    if (connection_.late()) throw BodyIsSlow{};
    // Reading ends early where the bytes do, and where the decoder has seen enough.
    if (!whole && !decoder->broken()) throw BodyIsCut{};
    current->body_is_left = !whole;
    if (const std::string fault = decoder->Fault(); !fault.empty()) throw BodyIsMalformed{fault};
    return body;
  }

  bool PeerIsGone() const override { return connection_.PeerIsGone(); }

  void SetCaller(std::string name, std::shared_ptr<void> lease) override {
    current->finished.caller = std::move(name);
    current->lease = std::move(lease);
  }
  void Keep(std::shared_ptr<void> what) override { current->kept = std::move(what); }

  void SetHeader(const std::string& name, const std::string& value) override {
    response_.set_header(name.c_str(), value);
  }

  void Reply(int status, std::string body, const std::string& content_type) override {
    response_.status = status;
    response_.set_content(std::move(body), content_type.c_str());
  }

  void Stream(std::function<bool(EventStream&)> events) override {
    response_.status = 200;
    current->streaming = true;
    response_.set_header("Cache-Control", "no-cache");
    response_.set_header("X-Accel-Buffering", "no");
    // All in one call: between two, the library looks whether the server has stopped, and would cut an answer off.
    const auto write = [events = std::move(events)](size_t, httplib::DataSink& sink) {
      SinkStream stream(sink);
      const bool whole = events(stream);
      current->cut = current->cut || !whole;
      if (whole) sink.done();
      return whole;
    };
    constexpr char kType[] = "text/event-stream";
    if (request_.version != "HTTP/1.0") return response_.set_chunked_content_provider(kType, write);
    current->closing = true;  // there are no chunks: the end of the connection is the reply's
    response_.set_content_provider(kType, write);
  }

 private:
  const httplib::Request& request_;
  httplib::Response& response_;
  const httplib::ContentReader* reader_;
  int64_t max_body_bytes_;
  BodyRoom& room_;
  // The engine's thread asks whether the peer has gone, and there is no `current` on it.
  const Connection& connection_ = *current->connection;
};

Listener::Listener(const ListenerOptions& options, Handlers handlers)
    : options_(options), handlers_(std::move(handlers)), reading_(options.max_read_bytes) {
  SetHandlers();
  set_socket_options(SetSocketOptions);
  new_task_queue = [this] {
    return new ConnectionThreads(static_cast<size_t>(options_.max_connections + kLateConnections));
  };
  const std::string address = options.host + ":" + std::to_string(options.port);
  port_ = options.port;
  if (options.port == 0) {
    port_ = bind_to_any_port(options.host.c_str());
  } else if (!bind_to_port(options.host.c_str(), options.port)) {
    port_ = -1;
  }
  if (port_ <= 0) {
    const std::string system = std::strerror(errno);
    const std::string reason = IsHost(options.host) ? system : "no such host";
    throw Error(Code::kUnavailable, address + ": cannot listen there: " + reason);
  }
  ::listen(svr_sock_, kBacklog);
  // Who has gone between poll() and accept() must not be waited for.
  fcntl(svr_sock_, F_SETFL, fcntl(svr_sock_, F_GETFL) | O_NONBLOCK);
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  accepting_ = std::thread([this] {
    accepting_id_ = std::this_thread::get_id();
    AcceptAll();
  });
}

Listener::~Listener() {
  Stop();
  close(stop_fd_);
}

void Listener::Stop() {
  if (!accepting_.joinable()) return;
  const uint64_t one = 1;
  // Stays readable, for every connection that looks.
  if (write(stop_fd_, &one, sizeof one) != sizeof one) return;
  accepting_.join();
}

void Listener::AcceptAll() {
  const std::unique_ptr<httplib::TaskQueue> threads(new_task_queue());
  pollfd waiting[2] = {{.fd = stop_fd_, .events = POLLIN, .revents = 0},
                       {.fd = svr_sock_, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (poll(waiting, 2, -1) < 0) continue;  // EINTR
    if (waiting[0].revents != 0) break;
    const socket_t socket = accept4(svr_sock_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket >= 0) {
      threads->enqueue([this, socket] { process_and_close_socket(socket); });
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      // What others let go of comes back: descriptors, buffers. The connection waits in the backlog meanwhile.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  close(svr_sock_.exchange(INVALID_SOCKET));  // which tells the library that this is the end
  threads->shutdown();
}

void Listener::Break() {
  const std::lock_guard lock(mutex_);
  for (const socket_t socket : sockets_) shutdown(socket, SHUT_RDWR);
}

void Listener::SetHandlers() {
  const auto plain = [this](const httplib::Request& request, httplib::Response& response) {
    Handle(request, response, nullptr);
  };
  const auto reading = [this](const httplib::Request& request, httplib::Response& response,
                              const httplib::ContentReader& reader) {
    Handle(request, response, &reader);
  };
  const char* const kAny = "[\\s\\S]*";
  Get(kAny, Handler(plain));
  Options(kAny, Handler(plain));
  Post(kAny, HandlerWithContentReader(reading));
  Put(kAny, HandlerWithContentReader(reading));
  Patch(kAny, HandlerWithContentReader(reading));
  Delete(kAny, HandlerWithContentReader(reading));
  set_error_handler(Handler([this](const httplib::Request&, httplib::Response& response) {
    if (current->handled) return;
    current->body_is_left = true;
    response.set_content(handlers_.refuse(response.status, current->head.fault),
                         "application/json");
  }));
  // A body that will be refused is not asked for.
  set_expect_100_continue_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        const bool faulty = !current->head.fault.empty();
        if (!faulty && ContentLength(request) <= options_.max_body_bytes) return 100;
        return response.status = faulty ? 400 : 413;
      });
  set_post_routing_handler(Handler([this](const httplib::Request& request,
                                          httplib::Response& response) {
    current->finished.status = response.status;
    if (!response.has_header("X-Request-Id"))
      response.set_header("X-Request-Id", handlers_.new_request_id());
    current->finished.request_id = response.get_header_value("X-Request-Id");
    current->finished.traceparent = request.get_header_value("traceparent");
    // Who has the whole reply may ask again at once, and is to find his place free.
    if (!current->streaming) current->lease.reset();
    current->closing = current->closing || current->body_is_left || request.version == "HTTP/1.0" ||
                       response.get_header_value("Connection") == "close";
    response.headers.erase("Keep-Alive");  // what the library would do
    if (!current->closing) {
      const auto idle = std::chrono::floor<std::chrono::seconds>(options_.limits.idle);
      response.set_header("Keep-Alive", "timeout=" + std::to_string(idle.count()));
      return;
    }
    response.headers.erase("Connection");
    response.set_header("Connection", "close");
  }));
}

void Listener::Handle(const httplib::Request& request, httplib::Response& response,
                      const httplib::ContentReader* reader) {
  current->handled = true;
  current->body_is_left = IsBodyExpected(request);
  HttplibExchange exchange(request, response, reader, options_.max_body_bytes, reading_);
  if (const std::string& fault = current->head.fault; !fault.empty()) {
    current->body_is_left = true;  // if there is one: nobody knows where this request ends
    return exchange.Reply(400, handlers_.refuse(400, fault), "application/json");
  }
  if (current->late && !AsksHowTheServerIs(request)) {
    ++refused_;
    exchange.SetHeader("Retry-After", "1");
    return exchange.Reply(503, handlers_.refuse(503, {}), "application/json");
  }
  current->finished.handled = true;
  handlers_.handle(exchange);
}

bool Listener::process_and_close_socket(socket_t sock) {
  if (std::this_thread::get_id() == accepting_id_ || sock >= FirstReservedDescriptor()) {
    RefuseConnection(sock);
    return false;
  }
  const bool late = ++connections_ > options_.max_connections;
  {
    const std::lock_guard lock(mutex_);
    sockets_.insert(sock);
  }
  ConnectionLimits limits = options_.limits;
  if (late) limits.idle = limits.head = kLatePatience;
  Connection connection(sock, stop_fd_, hurry_, limits);
  if (Serve(connection, late) == Rest::kLeft) connection.CloseGently();
  {
    const std::lock_guard lock(mutex_);
    sockets_.erase(sock);
    close(sock);
  }
  --connections_;
  return true;
}

Listener::Rest Listener::Serve(Connection& connection, bool late) {
  const auto setup = [](httplib::Request& request) {
    current->finished.method = request.method;
    if (request.path.size() > kMaxPathBytes) request.path.resize(kMaxPathBytes);
    current->finished.path = request.path;
    current->finished.remote = request.remote_addr;
    // Answers are short or streams, never worth compressing or cutting to a range.
    request.headers.erase("Accept-Encoding");
    const auto encodings = request.headers.equal_range("Content-Encoding");
    for (auto at = encodings.first; at != encodings.second; ++at)
      current->encoding += (current->encoding.empty() ? "" : ", ") + at->second;
    request.headers.erase("Content-Encoding");  // ReadBody unpacks
    request.ranges.clear();
  };
  bool going_on = true;
  while (going_on && connection.AwaitRequest()) {
    Current now;
    now.connection = &connection;
    now.late = now.closing = late;
    current = &now;
    const int64_t written = connection.bytes_written();
    const auto start = Clock::now();
    now.head = TakeHead(connection);
    bool last = false;
    const bool whole = process_request(connection, /*close_connection=*/false, last, setup);
    going_on = whole && !last && !now.closing && !connection.broken();
    now.finished.bytes = connection.bytes_written() - written;
    now.finished.time = Clock::now() - start;
    now.finished.cut = now.cut || connection.broken();
    if (now.handled || now.finished.status != 0) handlers_.finished(now.finished);
    current = nullptr;
    if (now.body_is_left) return Rest::kLeft;
  }
  return Rest::kNone;
}

void Listener::RefuseConnection(socket_t sock) {
  ++refused_;
  const std::string body = handlers_.refuse(503, {});
  const std::string reply =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Connection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  send(sock, reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  shutdown(sock, SHUT_WR);
  // What has come already would make the kernel reset the connection, and the answer with it.
  char rest[16384];
  while (recv(sock, rest, sizeof rest, MSG_DONTWAIT) > 0) continue;
  close(sock);
}

}  // namespace binocle::http
