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

// Throws INVALID_ARGUMENT for a text that is deeper than 64 levels, has more than 100000 values or 2 MiB outside of strings, or is no JSON: a
// parser that refuses a text quotes much of it, several times. It is left to refuse only what is no number.
JsonShape ScanJson(std::string_view text);

// The most memory that parsing the text takes beside it, and reading what came of it.
int64_t ParsingBytes(std::string_view text, const JsonShape& shape);

}  // namespace binocle::http
