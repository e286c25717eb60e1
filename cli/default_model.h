// Where the model that comes with Binocle is.
#pragma once

#include <string>

namespace binocle::cli {

// $BINOCLE_MODEL if set; else beside the installed program (../share/binocle/models) or in the source tree of a build directory.
// Throws NOT_FOUND saying where it looked.
std::string DefaultModelPath();

}  // namespace binocle::cli
