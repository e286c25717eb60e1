#include "core/error.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "binocle/busy_error.h"

namespace binocle {
namespace {

bool IsContinuation(unsigned char c) { return (c & 0xC0) == 0x80; }

// Length of the well-formed UTF-8 sequence at the front of `text`, 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xC2 && lead < 0xE0 ? 2
                        : (lead & 0xF0) == 0xE0       ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(byte(i))) return 0;
  }
  return length;
}

}  // namespace

std::string_view CodeName(Code code) {
  static constexpr std::array<std::string_view, 17> kNames = {"OK",
                                                              "CANCELLED",
                                                              "UNKNOWN",
                                                              "INVALID_ARGUMENT",
                                                              "DEADLINE_EXCEEDED",
                                                              "NOT_FOUND",
                                                              "ALREADY_EXISTS",
                                                              "PERMISSION_DENIED",
                                                              "RESOURCE_EXHAUSTED",
                                                              "FAILED_PRECONDITION",
                                                              "ABORTED",
                                                              "OUT_OF_RANGE",
                                                              "UNIMPLEMENTED",
                                                              "INTERNAL",
                                                              "UNAVAILABLE",
                                                              "DATA_LOSS",
                                                              "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < kNames.size() ? kNames[index] : "UNKNOWN";
}

Error::Error(Code code, std::string message, std::string option)
    : code_(code),
      message_(Printable(message, 4000)),
      option_(std::move(option)),
      what_(std::string(CodeName(code)) + ": " + message_) {}

BusyError::BusyError(std::string message) : Error(Code::kResourceExhausted, std::move(message)) {}
BusyError::~BusyError() = default;

void CheckOption(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    ThrowOption(option, "is ", value, ", expected ", low, " to ", high);
}

void CheckOption(const char* option, double value, double low, double high) {
  // Written so that NaN fails.
  if (value >= low && value <= high) return;
  char shortest[32];  // the digits that tell 1.0000001 from 1
  const char* end = std::to_chars(shortest, shortest + sizeof shortest, value).ptr;
  ThrowOption(option, "is ", std::string_view(shortest, end), ", expected ", low, " to ", high);
}

Error WithContext(const Error& error, const std::string& prefix) {
  return Error(error.code(), prefix + ": " + error.message());
}

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= limit) return out + "…";
    const size_t length = Utf8Length(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    if (length == 0 || (length == 1 && (lead < 0x20 || lead == 0x7F))) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", lead);
      out += lead == '\n' ? "\\n" : lead == '\t' ? "\\t" : escaped;
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

namespace internal {
void CheckFailed(const char* file, int line, const char* condition, const std::string& detail) {
  std::fprintf(stderr, "%s:%d: internal check failed: %s %s\n", file, line, condition,
               detail.c_str());
  std::abort();
}
}  // namespace internal
}  // namespace binocle
