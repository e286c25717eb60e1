#include "eval/report/axis.h"

#include <algorithm>
#include <cmath>

#include "eval/report/html.h"

namespace binocle::eval {
namespace {

constexpr double kMarks = 5;  // about as many steps as this
constexpr double kRounding = 1e-9;

// The smallest of 1, 2, 5, 10, … times a power of ten that is not below `least`.
double NiceStep(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double times : {1, 2, 5}) {
    if (times * power >= least * (1 - kRounding)) return times * power;
  }
  return 10 * power;
}

}  // namespace

std::string Axis::Text(double mark) const {
  const bool is_zero = std::abs(mark) < std::pow(10, -digits) / 2;  // and not "-0.0"
  return Number(is_zero ? 0 : mark, digits);
}

Axis RoundAxis(double low, double high, const AxisLimits& limits) {
  const double missing = std::max(0.0, limits.least_span - (high - low));
  low -= missing / 2;
  high += missing / 2;
  // What would stand out at one end is at the other.
  const double over = std::max(0.0, high - limits.ceiling);
  const double under = std::max(0.0, limits.floor - low);
  low = std::max(limits.floor, low - over);
  high = std::min(limits.ceiling, high + under);

  const double step = NiceStep((high - low) / kMarks);
  Axis axis;
  axis.low = std::max(limits.floor, step * std::floor(low / step + kRounding));
  axis.high = std::min(limits.ceiling, step * std::ceil(high / step - kRounding));
  axis.digits = std::clamp(-static_cast<int>(std::floor(std::log10(step) + kRounding)), 0, 9);
  const auto first = static_cast<int64_t>(std::ceil(axis.low / step - kRounding));
  const auto last = static_cast<int64_t>(std::floor(axis.high / step + kRounding));
  for (int64_t i = first; i <= last; ++i) axis.marks.push_back(step * static_cast<double>(i));
  return axis;
}

}  // namespace binocle::eval
