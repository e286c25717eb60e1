#include "service/grpc/convert_images.h"

#include <utility>

#include "service/common/sha256.h"
#include "service/common/text.h"

namespace binocle {

std::vector<ImageInput> ImageConverter::Convert(
    const google::protobuf::RepeatedPtrField<v1::Image>& images, const std::string& path) {
  std::vector<ImageInput> converted;
  for (int i = 0; i < images.size(); ++i) {
    if (++images_ > limits_.max_images) {
      violations_.Add(path, Text("has more pictures than a request may have, expected at most ",
                                 limits_.max_images));
      break;
    }
    converted.push_back(ConvertOne(images[i], Text(path, "[", i, "]")));
  }
  return converted;
}

ImageInput ImageConverter::ConvertOne(const v1::Image& image, const std::string& path) {
  ImageInput input = ImageInput::FromBytes(BytesOf(image, path), path);
  if (image.has_exif()) input.exif = image.exif();
  const auto size = static_cast<int64_t>(input.bytes->size());
  const bool fitted = bytes_ <= limits_.max_request_image_bytes;
  bytes_ += size;
  if (size > limits_.max_image_bytes) {
    violations_.Add(path, Text("has ", size, " bytes, expected at most ", limits_.max_image_bytes));
  } else if (fitted && bytes_ > limits_.max_request_image_bytes) {
    violations_.Add(path, Text("brings the pictures of the request to ", bytes_,
                               " bytes, expected at most ", limits_.max_request_image_bytes));
  }
  return input;
}

std::string ImageConverter::BytesOf(const v1::Image& image, const std::string& path) {
  // Once the request is over its limit it is refused anyway: nothing more is read for it.
  const bool over = bytes_ > limits_.max_request_image_bytes;
  switch (image.source_case()) {
    case v1::Image::kData:
      if (image.data().empty())
        violations_.Add(path + ".data", "is empty, expected a picture's file");
      return over ? std::string() : image.data();
    case v1::Image::kId:
      if (!IsSha256Hex(image.id())) {
        violations_.Add(
            path + ".id",
            Text("is no id, expected 64 lower-case hexadecimal digits as from UploadImage"));
        return {};
      }
      try {
        return over ? std::string() : source_.ById(image.id());
      } catch (const Error& error) {
        violations_.Add(path + ".id", error);
      }
      return {};
    case v1::Image::kUri:
      try {
        if (image.uri().empty())
          throw Error(Code::kInvalidArgument, "is empty, expected file:///…");
        return over ? std::string() : source_.ByUri(image.uri());
      } catch (const Error& error) {
        violations_.Add(path + ".uri", error);
      }
      return {};
    case v1::Image::SOURCE_NOT_SET:
      violations_.Add(path, "has no source, expected one of data, id, uri");
      return {};
  }
  return {};
}

}  // namespace binocle
