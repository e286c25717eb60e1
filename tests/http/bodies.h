// Bodies for tests.
#pragma once

#include <string>

#include "service/http/data_url.h"
#include "service/http/json_body.h"

namespace binocle::http::testing {

// The smallest PNG there is: 1 x 1.
inline std::string SmallPng() {
  return *DecodeBase64(
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+"
      "M9QDwADhgGAWjR9awAAAABJRU5ErkJgg"
      "g==");
}

inline std::string PngUrl() { return "data:image/png;base64," + EncodeBase64(SmallPng()); }

inline Json TextPart(const std::string& text) { return {{"type", "text"}, {"text", text}}; }
inline Json ImagePart(const std::string& url = PngUrl()) {
  return {{"type", "image_url"}, {"image_url", {{"url", url}}}};
}

inline Json UserMessage(Json content) {
  return {{"role", "user"}, {"content", std::move(content)}};
}

inline Json ChatBody(Json content = "What is this?") {
  return {{"model", "tiny"}, {"messages", Json::array({UserMessage(std::move(content))})}};
}

}  // namespace binocle::http::testing
