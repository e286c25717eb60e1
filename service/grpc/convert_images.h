// From binocle.v1.Image to ImageInput.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "binocle/v1/image.pb.h"
#include "service/grpc/violations.h"

namespace binocle {

// Where pictures that a request only names come from. Messages of errors follow the path of a field: "is a file that is not there".
class ImageSource {
 public:
  ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;
  virtual ~ImageSource() = default;

  // `id` is 64 lower-case hexadecimal digits. NOT_FOUND.
  virtual std::string ById(const std::string& id) = 0;
  // What UriReader::Read throws.
  virtual std::string ByUri(const std::string& uri) = 0;
};

// Pictures of one request, one call after the other: limits count for all of them together.
class ImageConverter {
 public:
  struct Limits {
    int64_t max_images = 64;                               // of a request
    int64_t max_image_bytes = int64_t{64} << 20;           // of one picture's file
    int64_t max_request_image_bytes = int64_t{256} << 20;  // of all of them
  };

  ImageConverter(const Limits& limits, ImageSource& source, Violations& violations)
      : limits_(limits), source_(source), violations_(violations) {}

  // `path` is that of the field: "images", "messages[2].images". Errors of the engine call the pictures by theirs: "images[1]".
  std::vector<ImageInput> Convert(const google::protobuf::RepeatedPtrField<v1::Image>& images,
                                  const std::string& path);
  int64_t images() const { return images_; }

 private:
  ImageInput ConvertOne(const v1::Image& image, const std::string& path);
  std::string BytesOf(const v1::Image& image, const std::string& path);

  const Limits& limits_;
  ImageSource& source_;
  Violations& violations_;
  int64_t images_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace binocle
