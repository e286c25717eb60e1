// Unicode's Normalization Form C.
#pragma once

#include <string>
#include <string_view>

namespace binocle {

// `text` is UTF-8.
std::string ToNfc(std::string_view text);

}  // namespace binocle
