// Pictures as PNG files, by OpenCV's imgcodecs.
#include "vision/encode_png.h"

#include <memory>
#include <new>

#include "core/error.h"
#include "vision/opencv/codecs.h"

namespace binocle {

std::string EncodePng(const Image& image) {
  if (image.width < 1 || image.height < 1)
    ThrowInvalid("cannot write a picture of ", image.width, " x ", image.height, " pixels");
  const OpencvModule& codecs = OpencvCodecs();
  OpencvModule::Bytes png{};
  OpencvModule::Problem problem;
  const auto outcome = codecs.encode_png(image.row(0), static_cast<int32_t>(image.width),
                                         static_cast<int32_t>(image.height), png, problem);
  if (outcome == OpencvModule::kNoMemory) throw std::bad_alloc();
  if (outcome != OpencvModule::kDone) Throw(Code::kInternal, "PNG: ", problem);
  const std::unique_ptr<void, void (*)(void*)> owner(png.owner, codecs.release_bytes);
  return {png.data, png.size};
}

}  // namespace binocle
