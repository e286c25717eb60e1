// Where a JSON value ends: marks and texts alone are looked at, numbers and words pass whatever they are.
#pragma once

#include <cstddef>
#include <string_view>

namespace binocle::eval {

struct JsonScan {
  size_t end = 0;      // behind the value, or where it is none
  bool sound = false;  // brackets, commas, colons and texts are where they must be
};

// The place after blanks, `text.size()` at most.
size_t AfterBlanks(std::string_view text, size_t position);

// Of the text that begins with the mark at `position`. One that is not closed ends with its line.
JsonScan ScanText(std::string_view text, size_t position);

// Of the value that begins at `position`, without blanks before it. Stops at the first fault, and below 1,000 levels.
JsonScan ScanValue(std::string_view text, size_t position, int level = 0);

}  // namespace binocle::eval
