// The codec on OpenCV's imgcodecs.
#include <algorithm>
#include <mutex>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>

#include "core/error.h"
#include "vision/decode.h"
#include "vision/png_rebuild.h"

namespace binocle::internal {
namespace {

cv::Mat Decode(std::string_view bytes, const ImageHeader& header, const std::string& where) {
  // OpenCV logs what it also throws or returns; one line for one error is enough.
  static std::once_flag quiet;
  std::call_once(quiet,
                 [] { cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT); });
  const cv::Mat wrapped(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  cv::Mat mat;
  try {
    // UNCHANGED keeps alpha and 16 bits, and leaves orientation to exif.cc.
    mat = cv::imdecode(wrapped, cv::IMREAD_UNCHANGED);
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw std::bad_alloc();
    ThrowInvalid(where, ": corrupt ", ImageFormatName(header.format), ": ", e.err);
  }
  if (mat.empty())
    ThrowInvalid(where, ": corrupt ", ImageFormatName(header.format),
                 ": its picture data cannot be decoded");
  if (mat.cols != header.width || mat.rows != header.height) {
    ThrowInvalid(where, ": corrupt ", ImageFormatName(header.format), ": holds ", mat.cols, " x ",
                 mat.rows, " pixels, its header says ", header.width, " x ", header.height);
  }
  return mat;
}

uint8_t EightBits(uint8_t sample) { return sample; }
uint8_t EightBits(uint16_t sample) { return static_cast<uint8_t>(sample >> 8); }

uint8_t OverWhite(unsigned colour, unsigned alpha) {
  return static_cast<uint8_t>((colour * alpha + 255 * (255 - alpha) + 127) / 255);
}

// One row of grey, BGR or BGRA samples to RGB.
template <typename Sample, int kChannels>
void ToRgbRow(const Sample* in, int64_t width, uint8_t* out) {
  for (int64_t x = 0; x < width; ++x, in += kChannels, out += 3) {
    for (int c = 0; c < 3; ++c) {
      const uint8_t value = EightBits(in[kChannels == 1 ? 0 : 2 - c]);
      if constexpr (kChannels == 4) {
        out[c] = OverWhite(value, EightBits(in[3]));
      } else {
        out[c] = value;
      }
    }
  }
}

template <typename Sample>
void ToRgb(const cv::Mat& mat, Image& image) {
  for (int y = 0; y < mat.rows; ++y) {
    const Sample* in = mat.ptr<Sample>(y);
    switch (mat.channels()) {
      case 1: ToRgbRow<Sample, 1>(in, image.width, image.row(y)); break;
      case 3: ToRgbRow<Sample, 3>(in, image.width, image.row(y)); break;
      default: ToRgbRow<Sample, 4>(in, image.width, image.row(y)); break;
    }
  }
}

// Grey pixels of the transparent level become the white behind them.
template <typename Sample>
void WhitenGrey(const cv::Mat& mat, uint32_t transparent, Image& image) {
  for (int y = 0; y < mat.rows; ++y) {
    const Sample* in = mat.ptr<Sample>(y);
    for (int x = 0; x < mat.cols; ++x) {
      if (in[x] == transparent) std::fill_n(image.row(y) + 3 * x, 3, uint8_t{255});
    }
  }
}

}  // namespace

Image DecodePixels(std::string_view bytes, const ImageHeader& header, const std::string& where) {
  std::optional<uint32_t> transparent_grey;
  cv::Mat mat;
  if (header.format == ImageFormat::kPng) {
    const RebuiltPng png = RebuildPng(bytes, where);
    transparent_grey = png.transparent_grey;
    mat = Decode(png.bytes, header, where);
  } else {
    mat = Decode(bytes, header, where);
  }
  const int channels = mat.channels();
  const bool known = (mat.depth() == CV_8U || mat.depth() == CV_16U) &&
                     (channels == 1 || channels == 3 || channels == 4);
  if (!known)
    Throw(Code::kUnimplemented, where, ": decodes to ", cv::typeToString(mat.type()),
          ", expected 8 or 16 bits");
  Image image(header.width, header.height);
  mat.depth() == CV_8U ? ToRgb<uint8_t>(mat, image) : ToRgb<uint16_t>(mat, image);
  if (transparent_grey && channels == 1) {
    mat.depth() == CV_8U ? WhitenGrey<uint8_t>(mat, *transparent_grey, image)
                         : WhitenGrey<uint16_t>(mat, *transparent_grey, image);
  }
  return image;
}

}  // namespace binocle::internal
