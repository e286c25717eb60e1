#include "fusion/prompt.h"

#include <algorithm>

#include "core/error.h"

namespace binocle {

ExpandedPrompt ExpandPrompt(std::span<const int32_t> ids, int32_t image_token,
                            std::span<const int64_t> image_tokens) {
  const int64_t images = std::ssize(image_tokens);
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
    const int64_t image = std::ssize(prompt.images);
    const int64_t tokens = image_tokens[static_cast<size_t>(image)];
    prompt.images.push_back(
        {.first_position = std::ssize(prompt.ids), .tokens = tokens, .image = image});
    prompt.ids.insert(prompt.ids.end(), static_cast<size_t>(tokens), image_token);
  }
  return prompt;
}

}  // namespace binocle
