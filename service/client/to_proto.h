// From the C++ structs to requests of binocle.v1. Values are not checked, the server does; numbers that no field holds become the nearest.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "binocle/explain.h"
#include "binocle/request.h"
#include "binocle/v1/vision_language_service.pb.h"

namespace binocle {

// What the server calls a picture ("images[0]", "messages[2].images[1]"), and what the caller does.
using PictureNames = std::vector<std::pair<std::string, std::string>>;

struct ImageReader {
  int64_t max_bytes = 0;  // of a file

  // A file is read: NOT_FOUND and so on where it cannot be, RESOURCE_EXHAUSTED where it is too large.
  v1::Image Read(const ImageInput& image) const;
};

v1::AskRequest AskRequestOf(const Request& request, const ImageReader& images, PictureNames& names);
v1::GenerateRequest GenerateRequestOf(const Request& request, const ImageReader& images,
                                      PictureNames& names);
v1::ExplainRequest ExplainRequestOf(const Request& request, const ExplainOptions& options,
                                    const ImageReader& images, PictureNames& names);

v1::Pooling PoolingToProto(Pooling pooling);

}  // namespace binocle
