#include "service/common/trace_context.h"

#include <algorithm>

namespace binocle {
namespace {

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<std::string_view> TraceIdOf(std::string_view text) {
  const bool form = text.size() == 55 && text[2] == '-' && text[35] == '-' && text[52] == '-' &&
                    IsLowerHex(text.substr(0, 2)) && IsLowerHex(text.substr(3, 32)) &&
                    IsLowerHex(text.substr(36, 16)) && IsLowerHex(text.substr(53)) &&
                    text.substr(0, 2) != "ff";
  if (!form) return std::nullopt;
  const std::string_view id = text.substr(3, 32);
  if (id.find_first_not_of('0') == std::string_view::npos) return std::nullopt;
  return id;
}

}  // namespace binocle
