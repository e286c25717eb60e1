// The HTTP server over the fake backend, for clients that are programs: prints its port, then serves until its standard input ends.
//
//   http_test_server [KEY]     with a key: only that one is taken
//
// Words come 20 ms apart. A question that begins with "fail" fails after the first words.
#include <iostream>
#include <string>

#include "service/http/http_server.h"
#include "tests/http/fake_backend.h"

namespace {

using binocle::Code;
using binocle::Error;
using binocle::Request;
using binocle::http::HttpServer;
using binocle::http::testing::EchoScript;
using binocle::http::testing::FakeBackend;
using binocle::http::testing::Script;
using binocle::http::testing::Served;

Script Speak(const Request& request) {
  Script script = EchoScript(request);
  script.between = std::chrono::milliseconds(20);
  if (request.messages.back().text.starts_with("fail")) {
    script.words.resize(2);
    script.fails_at_end = Error(Code::kInternal, "the backend broke in mid-stream");
  }
  return script;
}

}  // namespace

int main(int argc, char** argv) {
  FakeBackend backend(Speak);
  backend.decodes_pictures = true;
  binocle::http::HttpCallbacks callbacks;
  if (argc > 1) {
    callbacks.authorize = [key = std::string(argv[1])](std::string_view given) {
      if (given != key) throw Error(Code::kUnauthenticated, "the key is not known");
      return binocle::http::Admission{};
    };
  }
  HttpServer server(Served(backend), {}, callbacks);
  std::cout << server.port() << std::endl;
  while (std::cin.get() != EOF) continue;
  server.Drain(std::chrono::seconds(2));
}
