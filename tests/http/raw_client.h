// A client that sees every byte and when it came.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace binocle::http::testing {

struct RawReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks joined
  bool whole = false;                          // its length was kept, or its last chunk came
};

class RawClient {
 public:
  // `receive_buffer`: of the socket, in bytes; 0: the system's.
  explicit RawClient(int port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False: the other side has closed.
  bool Send(const std::string& bytes);
  // What one call of recv() gives; empty: closed, or nothing came in time.
  std::string Receive(std::chrono::milliseconds wait = std::chrono::seconds(10));
  // One reply: its head, and its body by length or chunks.
  RawReply ReadReply();
  // Until the other side closes.
  std::string ReadAll();
  void Close();

 private:
  bool FillTo(size_t bytes);

  int socket_;
  std::string buffer_;
};

// A POST with a JSON body.
std::string PostText(const std::string& path, const std::string& body,
                     const std::string& headers = "");
// A question for the model "fake", answered whole or as events.
std::string ChatText(bool stream, const std::string& headers = "");
std::string GetText(const std::string& path, const std::string& headers = "");

// One request on a connection of its own.
RawReply Exchange1(int port, const std::string& request);

// The JSON texts of a body of server-sent events.
std::vector<std::string> EventsOf(const std::string& body);

}  // namespace binocle::http::testing
