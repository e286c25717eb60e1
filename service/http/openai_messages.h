// The `messages` of a chat completion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "service/http/json_body.h"

namespace binocle::http {

// What a body may hold; the engine has limits of its own beside these.
struct RequestLimits {
  int64_t max_images = 64;                      // per request
  int64_t max_image_bytes = int64_t{64} << 20;  // of a picture's file
  int64_t max_inputs = 2048;                    // of /v1/embeddings
};

struct Dialogue {
  std::optional<std::string> system;  // of a first message with the role system or developer
  std::vector<Message> messages;      // user first, user and assistant in turn, user last
};

// A message's content is a string or a list of parts: {"type": "text", "text"} and {"type": "image_url", "image_url": {"url", "detail"}}.
// Texts are joined by line breaks. Pictures that all stand before or all behind the texts come first, where models expect them and `ask`
// puts them; pictures between texts stay where they are.
Dialogue ReadDialogue(const Fields& body, const RequestLimits& limits);

// The picture of an image_url part; `place` is that of the part.
ImageInput ReadImagePart(const Fields& part, const RequestLimits& limits);

}  // namespace binocle::http
