// A TCP port of 127.0.0.1 that nobody listens at.
#pragma once

#include <cstdint>

namespace binocle::testing {

// Free a moment ago, and not given again soon.
int64_t FreePort();

}  // namespace binocle::testing
