// The codec on OpenCV's imgcodecs.
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "vision/encode_png.h"

namespace binocle {

std::string EncodePng(const Image& image) {
  if (image.width < 1 || image.height < 1)
    ThrowInvalid("cannot write a picture of ", image.width, " x ", image.height, " pixels");
  cv::Mat bgr(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3);
  for (int y = 0; y < bgr.rows; ++y) {
    const uint8_t* in = image.row(y);
    uint8_t* out = bgr.ptr<uint8_t>(y);
    for (int x = 0; x < bgr.cols; ++x, in += 3, out += 3) {
      out[0] = in[2];
      out[1] = in[1];
      out[2] = in[0];
    }
  }
  std::vector<uint8_t> bytes;
  try {
    if (!cv::imencode(".png", bgr, bytes)) Throw(Code::kInternal, "PNG: could not be written");
  } catch (const cv::Exception& e) {
    Throw(Code::kInternal, "PNG: ", e.err);
  }
  return {bytes.begin(), bytes.end()};
}

}  // namespace binocle
