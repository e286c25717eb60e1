// Pixels by OpenCV's imgcodecs.
#include "vision/decode.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "core/error.h"
#include "vision/opencv/codecs.h"
#include "vision/png_rebuild.h"

namespace binocle::internal {
namespace {

using Picture = OpencvModule::Picture;

struct DecodedPicture : Picture {
  std::unique_ptr<void, void (*)(void*)> owned;
};

DecodedPicture Decode(std::string_view bytes, const ImageHeader& header, const std::string& where) {
  const OpencvModule& codecs = OpencvCodecs();
  Picture picture{};
  OpencvModule::Problem problem;
  const auto outcome = codecs.decode(bytes.data(), bytes.size(), picture, problem);
  if (outcome == OpencvModule::kNoMemory) throw std::bad_alloc();
  if (outcome != OpencvModule::kDone)
    ThrowInvalid(where, ": corrupt ", ImageFormatName(header.format), ": ",
                 problem[0] ? problem : "its picture data cannot be decoded");
  DecodedPicture decoded{picture, {picture.owner, codecs.release_picture}};
  if (picture.width != header.width || picture.height != header.height) {
    ThrowInvalid(where, ": corrupt ", ImageFormatName(header.format), ": holds ", picture.width,
                 " x ", picture.height, " pixels, its header says ", header.width, " x ",
                 header.height);
  }
  const int channels = picture.channels;
  if (picture.bits == 0 || (channels != 1 && channels != 3 && channels != 4))
    Throw(Code::kUnimplemented, where, ": decodes to ", channels, " channels ", problem,
          ", expected 1, 3 or 4 of 8 or 16 bits");
  return decoded;
}

template <typename Sample>
const Sample* RowOf(const Picture& picture, int64_t y) {
  return reinterpret_cast<const Sample*>(static_cast<const std::byte*>(picture.rows) +
                                         static_cast<size_t>(y) * picture.row_bytes);
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
void ToRgb(const Picture& picture, Image& image) {
  for (int64_t y = 0; y < picture.height; ++y) {
    const auto* in = RowOf<Sample>(picture, y);
    switch (picture.channels) {
      case 1: ToRgbRow<Sample, 1>(in, image.width, image.row(y)); break;
      case 3: ToRgbRow<Sample, 3>(in, image.width, image.row(y)); break;
      default: ToRgbRow<Sample, 4>(in, image.width, image.row(y)); break;
    }
  }
}

// Grey pixels of the transparent level become the white behind them.
template <typename Sample>
void WhitenGrey(const Picture& picture, uint32_t transparent, Image& image) {
  for (int64_t y = 0; y < picture.height; ++y) {
    const auto* in = RowOf<Sample>(picture, y);
    for (int64_t x = 0; x < picture.width; ++x) {
      if (in[x] == transparent) std::fill_n(image.row(y) + 3 * x, 3, uint8_t{255});
    }
  }
}

template <typename Sample>
Image ToImage(const Picture& picture, std::optional<uint32_t> transparent_grey) {
  Image image(picture.width, picture.height);
  ToRgb<Sample>(picture, image);
  if (transparent_grey && picture.channels == 1)
    WhitenGrey<Sample>(picture, *transparent_grey, image);
  return image;
}

}  // namespace

Image DecodePixels(std::string_view bytes, const ImageHeader& header, const std::string& where) {
  std::optional<uint32_t> transparent_grey;
  std::optional<RebuiltPng> png;
  if (header.format == ImageFormat::kPng) {
    png = RebuildPng(bytes, where);
    transparent_grey = png->transparent_grey;
    bytes = png->bytes;
  }
  const DecodedPicture picture = Decode(bytes, header, where);
  return picture.bits == 8 ? ToImage<uint8_t>(picture, transparent_grey)
                           : ToImage<uint16_t>(picture, transparent_grey);
}

}  // namespace binocle::internal
