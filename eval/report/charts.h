// Drawings as SVG, in the colours of the page.
#pragma once

#include <string>
#include <vector>

#include "eval/report/html.h"

namespace binocle::eval {

// How often values occur: a bar for each whole number where all are whole and few, or else 24 bars of the same width.
Html Histogram(std::string_view name, const std::vector<double>& values);

struct CurvePoint {
  double x = 0;
  EvalInterval y;
  std::string label;
  std::string
      missing;  // what a score that is not of all samples is without; drawn as a ring then, with a star
};
struct Curve {
  std::string name;                // empty: of one curve
  std::vector<CurvePoint> points;  // in the order in which they are joined
};
// Points with their intervals, joined; those of (nearly) the same x beside each other. Every curve has at least one point. Values of y lie between 0 and `most`, and the axis ends there.
Html Curves(const std::vector<Curve>& curves, std::string_view x_name, std::string_view y_name,
            double most);

}  // namespace binocle::eval
