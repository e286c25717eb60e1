// From prompt ids with image marks to the rows a decoder sees.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace binocle {

// Consecutive positions that one picture takes.
struct ImageSpan {
  int64_t first_position = 0;
  int64_t tokens = 0;
  int64_t image = 0;  // index of the picture in the request
};

struct ExpandedPrompt {
  std::vector<int32_t> ids;       // the image token's id once per visual token
  std::vector<ImageSpan> images;  // in order
};

// Replaces the k-th image token by image_tokens[k] copies of it. Throws INVALID_ARGUMENT when the number of marks is not that of pictures.
ExpandedPrompt ExpandPrompt(std::span<const int32_t> ids, int32_t image_token,
                            std::span<const int64_t> image_tokens);

}  // namespace binocle
