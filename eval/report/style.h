// How pages look: light and dark, narrow and wide.
#pragma once

#include <string_view>

namespace binocle::eval {

std::string_view PageStyle();

}  // namespace binocle::eval
