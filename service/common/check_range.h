// Options that are numbers.
#pragma once

#include <cstdint>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle {

// INVALID_ARGUMENT about the option unless low ≤ value ≤ high.
inline void CheckRange(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw Error(Code::kInvalidArgument,
                Text(option, " is ", value, ", expected ", low, " to ", high), option);
  }
}

}  // namespace binocle
