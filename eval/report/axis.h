// Where the axis of a drawing begins and ends, and its marks.
//
//   RoundAxis(0.0296, 0.0386, {})                        0.028 0.030 0.032 … 0.040
//   RoundAxis(157.2434, 157.2562, {.least_span = 8})     152 154 … 162
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace binocle::eval {

struct AxisLimits {
  double least_span = 0;  // an axis of values that are (nearly) equal is as long as this
  double floor =
      -std::numeric_limits<double>::infinity();  // what values cannot exceed, nor the axis
  double ceiling = std::numeric_limits<double>::infinity();
};

struct Axis {
  double low = 0;
  double high = 1;
  int digits = 0;             // behind the point, of every mark
  std::vector<double> marks;  // multiples of 1, 2 or 5 times a power of ten, at least two

  double Share(double value) const { return (value - low) / (high - low); }
  std::string Text(double mark) const;
};

// Around all of `low` … `high`, which lie within the limits. `least_span` above 0 where they may be equal.
Axis RoundAxis(double low, double high, const AxisLimits& limits);

}  // namespace binocle::eval
