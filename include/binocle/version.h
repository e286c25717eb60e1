// The version of the library at hand.
#pragma once

#include "binocle/export.h"

namespace binocle {

// "0.1.0"
BINOCLE_EXPORT const char* Version();

}  // namespace binocle
