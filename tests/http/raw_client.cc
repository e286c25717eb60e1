#include "tests/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "core/error.h"
#include "tests/http/bodies.h"

namespace binocle::http::testing {

RawClient::RawClient(int port, int receive_buffer) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
  BINOCLE_CHECK(socket_ >= 0, "socket");
  if (receive_buffer > 0)
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BINOCLE_CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
                "connect to ", port);
}

RawClient::~RawClient() { Close(); }

void RawClient::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

bool RawClient::Send(const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = send(socket_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += static_cast<size_t>(sent);
  }
  return true;
}

std::string RawClient::Receive(std::chrono::milliseconds wait) {
  pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, static_cast<int>(wait.count())) <= 0) return {};
  std::string bytes(1 << 16, '\0');
  const ssize_t got = recv(socket_, bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

bool RawClient::FillTo(size_t bytes) {
  while (buffer_.size() < bytes) {
    const std::string more = Receive();
    if (more.empty()) return false;
    buffer_ += more;
  }
  return true;
}

RawReply RawClient::ReadReply() {
  RawReply reply;
  size_t head = 0;
  while ((head = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!FillTo(buffer_.size() + 1)) return reply;
  }
  std::istringstream lines(buffer_.substr(0, head));
  std::string line;
  std::getline(lines, line);
  reply.status = std::stoi(line.substr(9, 3));
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const size_t colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    reply.headers[name] = line.substr(colon + 2);
  }
  buffer_.erase(0, head + 4);
  if (reply.headers.contains("content-length")) {
    const auto length = static_cast<size_t>(std::stoll(reply.headers["content-length"]));
    reply.whole = FillTo(length);
    reply.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return reply;
  }
  if (reply.headers["transfer-encoding"] != "chunked") return reply;
  for (;;) {
    size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      if (!FillTo(buffer_.size() + 1)) return reply;
    }
    const size_t length = std::stoul(buffer_.substr(0, end), nullptr, 16);
    if (!FillTo(end + 2 + length + 2)) return reply;
    reply.body += buffer_.substr(end + 2, length);
    buffer_.erase(0, end + 2 + length + 2);
    if (length == 0) {
      reply.whole = true;
      return reply;
    }
  }
}

std::string RawClient::ReadAll() {
  while (FillTo(buffer_.size() + 1)) continue;
  return std::move(buffer_);
}

std::string PostText(const std::string& path, const std::string& body, const std::string& headers) {
  return "POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" +
         headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string ChatText(bool stream, const std::string& headers) {
  Json body = ChatBody();
  body["model"] = "fake";
  body["stream"] = stream;
  return PostText("/v1/chat/completions", body.dump(), headers);
}

std::string GetText(const std::string& path, const std::string& headers) {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n";
}

RawReply Exchange1(int port, const std::string& request) {
  RawClient client(port);
  client.Send(request);
  return client.ReadReply();
}

std::vector<std::string> EventsOf(const std::string& body) {
  std::vector<std::string> events;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    if (end == std::string::npos || body.compare(at, 6, "data: ") != 0) {
      events.push_back("broken: " + body.substr(at));
      return events;
    }
    events.push_back(body.substr(at + 6, end - at - 6));
    at = end + 2;
  }
  return events;
}

}  // namespace binocle::http::testing
