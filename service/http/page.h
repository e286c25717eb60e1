// The page at `/`, embedded at build time from page/index.html.
#pragma once

#include <string_view>

namespace binocle::http {

std::string_view PageHtml();

}  // namespace binocle::http
