#include "fusion/prompt.h"

#include <algorithm>

#include "core/error.h"

namespace binocle {

ExpandedPrompt ExpandPrompt(std::span<const int32_t> ids, int32_t image_token, int64_t images,
                            int64_t tokens_per_image) {
  const int64_t marks = std::count(ids.begin(), ids.end(), image_token);
  if (marks != images)
    ThrowInvalid("prompt: has ", marks, " image mark(s) <image>, expected ", images,
                 " (the number of pictures given)");
  ExpandedPrompt prompt;
  for (const int32_t id : ids) {
    if (id != image_token) {
      prompt.ids.push_back(id);
      continue;
    }
    prompt.images.push_back({.first_position = static_cast<int64_t>(prompt.ids.size()),
                             .tokens = tokens_per_image,
                             .image = static_cast<int64_t>(prompt.images.size())});
    prompt.ids.insert(prompt.ids.end(), static_cast<size_t>(tokens_per_image), image_token);
  }
  return prompt;
}

}  // namespace binocle
