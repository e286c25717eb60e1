// Where a JSON value ends: its structure alone. Numbers and words pass whatever they are, and so does what texts hold; so damage of that
// kind never moves where a value ends.
#pragma once

#include <cstddef>
#include <string_view>

namespace binocle::eval {

struct JsonScan {
  size_t end = 0;  // behind the value, or where it is none
  const char* expected =
      nullptr;  // what should have been there instead; null for a value that is whole

  bool sound() const { return expected == nullptr; }
};

// The place after blanks, `text.size()` at most.
size_t AfterBlanks(std::string_view text, size_t position);

// Of the text that begins with the mark at `position`. One that is not closed on its line is none.
JsonScan ScanText(std::string_view text, size_t position);

// Of an object's name and its colon: `end` is where the value begins.
JsonScan ScanName(std::string_view text, size_t position);

// Of the value that begins at `position`, without blanks before it, however deep. Stops at the first fault.
JsonScan ScanValue(std::string_view text, size_t position);

}  // namespace binocle::eval
