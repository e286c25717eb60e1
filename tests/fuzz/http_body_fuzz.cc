// Any bytes as the body of an HTTP request, through every parser of bodies. Nothing but binocle::Error comes out; what is accepted must be
// within the ranges that were checked, and every error must be JSON of one line.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "service/http/http_error.h"
#include "service/http/openai_request.h"

namespace {

using binocle::http::ChatRequest;
using binocle::http::Json;
using binocle::http::RequestLimits;

constexpr RequestLimits kLimits = {.max_images = 4, .max_image_bytes = 4096, .max_inputs = 8};

void CheckChat(const ChatRequest& chat) {
  const binocle::Request& request = chat.request;
  BINOCLE_CHECK(request.generation.n >= 1 && request.generation.n <= 64, request.generation.n);
  BINOCLE_CHECK(request.generation.max_new_tokens >= 1, request.generation.max_new_tokens);
  BINOCLE_CHECK(request.messages.size() % 2 == 1, request.messages.size());
  size_t images = 0;
  for (const binocle::Message& message : request.messages) {
    images += message.images.size();
    for (const binocle::ImageInput& image : message.images)
      BINOCLE_CHECK(image.bytes && image.bytes->size() <= 4096,
                    "a picture without bytes, or too many");
  }
  BINOCLE_CHECK(images <= 4, images);
}

template <typename Parse>
void MayThrowErrors(const Parse& parse) {
  try {
    parse();
  } catch (const binocle::Error& error) {
    const std::string line = binocle::http::Line(ErrorJson(binocle::http::ToHttpError(error)));
    BINOCLE_CHECK(Json::accept(line) && line.find('\n') == std::string::npos, line);
    BINOCLE_CHECK(line.size() < 5000, line);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  MayThrowErrors([&] { CheckChat(binocle::http::ParseChatRequest(body, kLimits)); });
  MayThrowErrors([&] { CheckChat(binocle::http::ParseExplainRequest(body, kLimits).chat); });
  MayThrowErrors([&] {
    const auto request = binocle::http::ParseEmbeddingRequest(body, kLimits);
    BINOCLE_CHECK(!request.inputs.empty() && request.inputs.size() <= 8, request.inputs.size());
  });
  return 0;
}
