#include "service/server/call_log.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "binocle/error.h"
#include "service/common/trace_context.h"

namespace binocle {
namespace {

using Json = nlohmann::ordered_json;

// "2026-01-31T12:00:00.123Z"
std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(milliseconds));
  return text;
}

void AddUnlessEmpty(Json& line, const char* key, const std::string& value) {
  if (!value.empty()) line[key] = value;
}

double Rounded(double milliseconds) {
  return static_cast<double>(static_cast<int64_t>(milliseconds * 1000)) / 1000;
}

// Texts of strangers may be no UTF-8.
std::string LineOf(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void CallLog::Call(const CallRecord& call) const {
  if (!write_) return;
  const bool ok = call.code == grpc::StatusCode::OK;
  Json line{{"time", Now()}, {"event", "call"}, {"protocol", "grpc"}, {"method", call.method}};
  line["code"] = ok ? "OK" : std::string(CodeName(static_cast<Code>(call.code)));
  line["ms"] = Rounded(std::chrono::duration<double, std::milli>(call.duration).count());
  line["request_id"] = call.request_id;
  AddUnlessEmpty(line, "trace_id", call.trace_id);
  AddUnlessEmpty(line, "token", call.token);
  line["peer"] = call.peer;
  AddUnlessEmpty(line, "message", call.message);
  write_(LineOf(line));
}

void CallLog::Call(const http::HttpLogEntry& call) const {
  if (!write_) return;
  Json line{{"time", Now()},
            {"event", "call"},
            {"protocol", "http"},
            {"method", call.method + " " + call.path},
            {"code", std::to_string(call.status)},
            {"ms", Rounded(call.milliseconds)},
            {"request_id", call.request_id}};
  AddUnlessEmpty(line, "trace_id", std::string(TraceIdOf(call.traceparent).value_or("")));
  AddUnlessEmpty(line, "token", call.caller);
  line["peer"] = call.remote;
  line["bytes"] = call.bytes;
  if (call.cut) line["cut"] = true;
  write_(LineOf(line));
}

void CallLog::Event(std::string_view event, std::string_view message) const {
  if (!write_) return;
  write_(LineOf(Json{{"time", Now()}, {"event", event}, {"message", message}}));
}

}  // namespace binocle
