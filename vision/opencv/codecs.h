// OpenCV's module, loaded with the first picture, for good.
#pragma once

#include "vision/opencv/module.h"

namespace binocle {

// INTERNAL, with the loader's words, where the module is missing.
const OpencvModule& OpencvCodecs();

}  // namespace binocle
