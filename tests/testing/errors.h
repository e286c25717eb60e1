// What an action throws, as text to compare.
#pragma once

#include <functional>
#include <string>

namespace binocle::testing {

// what() of the binocle::Error that the action throws ("INVALID_ARGUMENT: …"), or "no error". Other exceptions pass.
std::string ErrorOf(const std::function<void()>& action);

}  // namespace binocle::testing
