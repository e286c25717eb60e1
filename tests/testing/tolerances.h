// How far a result may be from its reference, and why. Loosening a row is a reviewed change.
#pragma once

#include <string_view>

namespace binocle::testing {

struct Tolerance {
  double relative;  // of the largest magnitude in the reference, but for "kl"
  std::string_view reason;
};

// Throws for an op that is not in the table. dtype: "f32"; of "kl" a kind of weights.
Tolerance ToleranceOf(std::string_view op, std::string_view dtype);

}  // namespace binocle::testing
