// Pictures inside a request: data URLs and base64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "binocle/request.h"

namespace binocle::http {

// The bytes of a base64 text (RFC 4648 section 4): padded, nothing but the alphabet, unused bits zero. Absent: it is none.
std::optional<std::string> DecodeBase64(std::string_view text);
std::string EncodeBase64(std::string_view bytes);

// The picture of a `data:image/…;base64,…` URL; `place` is its name in errors. PNG, JPEG and WebP by their label; which of them it
// is, and whether it is one, the decoder sees from the bytes. Throws INVALID_ARGUMENT, also for http(s) URLs, which are not fetched, and
// RESOURCE_EXHAUSTED for more than `max_bytes`.
ImageInput ImageFromUrl(std::string_view url, int64_t max_bytes, const std::string& place);

}  // namespace binocle::http
