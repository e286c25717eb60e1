#include "vision/decode.h"

#include <algorithm>
#include <new>
#include <utility>

#include "binocle/image_file.h"
#include "core/error.h"
#include "core/mapped_file.h"
#include "vision/exif.h"

namespace binocle {
namespace {

void CheckSize(const ImageHeader& header, const DecodeOptions& options, const std::string& where) {
  const auto fail = [&](const auto&... limit) {
    Throw(Code::kResourceExhausted, where, ": is a ", ImageFormatName(header.format), " of ",
          header.width, " x ", header.height, " pixels, the limit is ", limit...);
  };
  if (std::max(header.width, header.height) > options.max_side) fail(options.max_side, " a side");
  // Each side is below 2^32, so dividing avoids an overflow that multiplying could have.
  if (header.width > options.max_pixels / header.height) fail(options.max_pixels, " in all");
}

}  // namespace

ImageHeader CheckImage(std::string_view bytes, const DecodeOptions& options,
                       const std::string& where) {
  if (static_cast<int64_t>(bytes.size()) > options.max_bytes) {
    Throw(Code::kResourceExhausted, where, ": is ", bytes.size(), " bytes, the limit is ",
          options.max_bytes);
  }
  const ImageHeader header = ParseImageHeader(bytes, where);
  CheckSize(header, options, where);
  CheckImageStructure(bytes, header.format, where);
  return header;
}

ImageSize UprightSize(const ImageHeader& header, std::string_view bytes,
                      const DecodeOptions& options) {
  const bool turned = options.exif && ExifOrientation(bytes, header.format) >= 5;
  return turned ? ImageSize{header.height, header.width} : ImageSize{header.width, header.height};
}

Image DecodeImage(std::string_view bytes, const DecodeOptions& options, const std::string& where) {
  const ImageHeader header = CheckImage(bytes, options, where);
  try {
    Image image = internal::DecodePixels(bytes, header, where);
    return options.exif ? ApplyOrientation(std::move(image), ExifOrientation(bytes, header.format))
                        : image;
  } catch (const std::bad_alloc&) {
    Throw(Code::kResourceExhausted, where, ": not enough memory for ", header.width, " x ",
          header.height, " pixels");
  }
}

ImageFileInfo CheckImageFile(std::string_view bytes, int64_t max_pixels, const std::string& name) {
  const ImageHeader header =
      CheckImage(bytes, {.max_bytes = INT64_MAX, .max_pixels = max_pixels}, name);
  return {.format = std::string(ImageFormatName(header.format)),
          .width = header.width,
          .height = header.height};
}

Image ReadImage(const std::filesystem::path& path, const DecodeOptions& options) {
  return DecodeImage(ReadFile(path, static_cast<size_t>(options.max_bytes)), options,
                     path.string());
}

}  // namespace binocle
