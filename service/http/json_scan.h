// A look at JSON text from strangers before a parser sees it.
#pragma once

#include <cstdint>
#include <string_view>

namespace binocle::http {

// What a text will be when it is parsed.
struct JsonShape {
  int64_t values = 1;   // at least as many as there are
  int64_t outside = 0;  // bytes that are in no string
};

// Throws INVALID_ARGUMENT for a text that is deeper than 64 levels, has more than 100000 values or 2 MiB outside of strings, or in which a
// string or number is none: what is left for a parser to refuse is of few bytes, so it may quote it. Whether the rest is JSON it does not say.
JsonShape ScanJson(std::string_view text);

// The most memory that parsing the text takes beside it, and reading what came of it.
int64_t ParsingBytes(std::string_view text, const JsonShape& shape);

}  // namespace binocle::http
