// The codec of a build without OpenCV (BINOCLE_OPENCV=OFF).
#include "core/error.h"
#include "vision/decode.h"

namespace binocle {

void PrepareDecoder() noexcept {}

}  // namespace binocle

namespace binocle::internal {

Image DecodePixels(std::string_view, const ImageHeader& header, const std::string& where) {
  Throw(Code::kUnimplemented, where, ": is a ", ImageFormatName(header.format),
        " picture, and this build has no picture decoder (BINOCLE_OPENCV=OFF)");
}

}  // namespace binocle::internal
