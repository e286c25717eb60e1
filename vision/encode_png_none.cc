// The codec of a build without OpenCV (BINOCLE_OPENCV=OFF).
#include "core/error.h"
#include "vision/encode_png.h"

namespace binocle {

std::string EncodePng(const Image&) {
  Throw(Code::kUnimplemented, "this build writes no pictures (BINOCLE_OPENCV=OFF)");
}

}  // namespace binocle
