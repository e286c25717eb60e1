// Standard output as a place that may refuse what is written to it: a full disk, a closed pipe.
#pragma once

namespace binocle::cli {

// Hands everything on. Throws DATA_LOSS when something did not arrive.
void FlushOutput();

}  // namespace binocle::cli
