// Names of requests.
#pragma once

#include <string>

namespace binocle {

// 24 random letters and digits.
std::string RandomId();

}  // namespace binocle
