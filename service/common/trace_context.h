// W3C Trace Context.
#pragma once

#include <optional>
#include <string_view>

namespace binocle {

// The trace id of a `traceparent` (version-traceid-parentid-flags): 32 lower-case hexadecimal digits, part of the text. Nothing for a text
// that is none.
std::optional<std::string_view> TraceIdOf(std::string_view traceparent);

}  // namespace binocle
