// One JSON object for each call and event, a line of a log. Nothing secret comes here: tokens are called by their names.
#pragma once

#include <functional>
#include <string_view>

#include "service/grpc/call_gate.h"
#include "service/http/http_server.h"

namespace binocle {

class CallLog {
 public:
  using Write = std::function<void(std::string_view line)>;

  // `write` may be empty: nothing is logged.
  explicit CallLog(Write write) : write_(std::move(write)) {}

  void Call(const CallRecord& call) const;
  void Call(const http::HttpLogEntry& call) const;
  // "started", "draining", "warning" …
  void Event(std::string_view event, std::string_view message) const;

 private:
  Write write_;
};

}  // namespace binocle
