#include "eval/report/charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "eval/report/axis.h"
#include "eval/report/curve_layout.h"

namespace binocle::eval {
namespace {

constexpr size_t kMostBars = 24;
constexpr size_t kColours = 6;  // --s0 … of the style

std::string Short(double value) {
  const bool is_whole = value == std::round(value) && std::abs(value) < 1e9;
  const double size = std::abs(value);
  return Number(value, is_whole ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
}

std::string Attribute(const char* name, double value) {
  return std::string(" ") + name + "=\"" + Number(value, 2) + "\"";
}

Html Line(double x1, double y1, double x2, double y2, const std::string& more) {
  return Markup("<line" + Attribute("x1", x1) + Attribute("y1", y1) + Attribute("x2", x2) +
                Attribute("y2", y2) + " " + more + "/>");
}

Html Label(double x, double y, const char* anchor, std::string_view text) {
  return Markup("<text" + Attribute("x", x) + Attribute("y", y) + " text-anchor=\"" + anchor +
                "\">") +
         Escaped(text) + Markup("</text>");
}

struct Bars {
  double low = 0;
  double width = 1;  // of a bar
  std::vector<int64_t> counts;
};

Bars BarsOf(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const bool whole = std::all_of(values.begin(), values.end(),
                                 [](double value) { return value == std::round(value); });
  Bars bars{.low = *low};
  const double range = *high - *low;
  size_t count = kMostBars;
  if (range == 0 || (whole && range < kMostBars)) {
    count = static_cast<size_t>(range) + 1;
  } else {
    bars.width = range / kMostBars;
  }
  bars.counts.resize(count);
  for (const double value : values) {
    const auto at = static_cast<size_t>((value - *low) / bars.width);
    ++bars.counts[std::min(at, count - 1)];
  }
  return bars;
}

constexpr double kTextWidth = 7.2;  // of a digit, with some room

double TextWidth(std::string_view text) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return kTextWidth * static_cast<double>(text.size() - static_cast<size_t>(std::count_if(
                                                            text.begin(), text.end(), continues)));
}

// Costs: as far as they go, and no less than a twentieth of them.
Axis CostAxis(const std::vector<Curve>& curves) {
  double low = INFINITY;
  double high = -INFINITY;
  for (const Curve& curve : curves) {
    for (const CurvePoint& point : curve.points) {
      low = std::min(low, point.x);
      high = std::max(high, point.x);
    }
  }
  const double margin = 0.03 * (high - low);  // no point on the axis of scores
  const double size = std::max(std::abs(low), std::abs(high));
  return RoundAxis(std::max(std::min(low, 0.0), low - margin), high + margin,
                   {.least_span = size > 0 ? size / 20 : 1, .floor = std::min(low, 0.0)});
}

Axis ScoreAxis(const std::vector<Curve>& curves, double most) {
  double low = INFINITY;
  double high = -INFINITY;
  for (const Curve& curve : curves) {
    for (const CurvePoint& point : curve.points) {
      low = std::min({low, point.y.low, point.y.value});
      high = std::max({high, point.y.high, point.y.value});
    }
  }
  return RoundAxis(std::max(low, 0.0), std::min(high, most),
                   {.least_span = most / 20, .floor = 0, .ceiling = most});
}

// The plot of curves within its margins.
class Plot {
 public:
  static constexpr double kRight = 340, kTop = 38, kBottom = 224;

  Plot(const std::vector<Curve>& curves, double most)
      : x_(CostAxis(curves)), y_(ScoreAxis(curves, most)) {
    double widest = 0;
    for (const double mark : y_.marks) widest = std::max(widest, TextWidth(y_.Text(mark)));
    left_ = widest + 8;
  }
  double left() const { return left_; }
  double X(double x) const { return left_ + (kRight - left_) * x_.Share(x); }
  double Y(double y) const { return kBottom - (kBottom - kTop) * y_.Share(y); }

  Html Axes(std::string_view x_name, std::string_view y_name) const {
    Html html = Line(left_, kBottom, kRight, kBottom, "class=\"axis\"");
    for (const double mark : y_.marks) {
      html += Line(left_, Y(mark), kRight, Y(mark), "class=\"axis\"");
      html += Label(left_ - 6, Y(mark) + 4, "end", y_.Text(mark));
    }
    for (size_t i = 0; i < x_.marks.size(); i += MarksApart()) {
      const double at = X(x_.marks[i]);
      const std::string text = x_.Text(x_.marks[i]);
      html += Line(at, kBottom, at, kBottom + 4, "class=\"axis\"");
      html += Label(std::min(at, kEdge - TextWidth(text) / 2), kBottom + 16, "middle", text);
    }
    html += Label((left_ + kRight) / 2, kBottom + 34, "middle", x_name);
    return html + Label(0, 12, "start", y_name);
  }

 private:
  static constexpr double kEdge = 358;  // of the drawing, nearly

  // Every mark below, or every second, …: as many as have room.
  size_t MarksApart() const {
    double widest = 0;
    for (const double mark : x_.marks) widest = std::max(widest, TextWidth(x_.Text(mark)) + 10);
    const double all = widest * static_cast<double>(x_.marks.size());
    return static_cast<size_t>(std::max(1.0, std::ceil(all / (kRight - left_ + widest))));
  }

  Axis x_;
  Axis y_;
  double left_ = 0;
};

// A point where it is drawn.
struct DrawnPoint {
  const CurvePoint* point = nullptr;
  size_t curve = 0;
  double x = 0, low = 0, y = 0, high = 0;

  Place place() const { return {x, y}; }
};

std::vector<DrawnPoint> PointsOf(const Plot& plot, const std::vector<Curve>& curves) {
  std::vector<DrawnPoint> points;
  std::vector<double> places;
  for (size_t i = 0; i < curves.size(); ++i) {
    for (const CurvePoint& point : curves[i].points) {
      places.push_back(plot.X(point.x));
      points.push_back({.point = &point,
                        .curve = i,
                        .low = plot.Y(point.y.low),
                        .y = plot.Y(point.y.value),
                        .high = plot.Y(point.y.high)});
    }
  }
  const std::vector<double> spread = SpreadEqual(places, plot.left() + 6, Plot::kRight - 6);
  for (size_t i = 0; i < points.size(); ++i) points[i].x = spread[i];
  return points;
}

std::string ColourOf(size_t curve) { return "var(--s" + std::to_string(curve % kColours) + ")"; }

// Dashed in another way for each curve, so that one does not hide another that runs along it.
std::string DashesOf(size_t curve) {
  constexpr std::array<std::string_view, 4> kDashes = {"", "7 4", "2 3", "9 3 2 3"};
  const std::string_view dashes = kDashes[curve % kDashes.size()];
  return dashes.empty() ? "" : " stroke-dasharray=\"" + std::string(dashes) + "\"";
}

Html Joined(const std::vector<DrawnPoint>& points) {
  Html html;
  for (size_t i = 1; i < points.size(); ++i) {
    const DrawnPoint& from = points[i - 1];
    const DrawnPoint& to = points[i];
    if (from.curve == to.curve)
      html += Line(from.x, from.y, to.x, to.y,
                   "stroke=\"" + ColourOf(to.curve) + "\" stroke-width=\"2\"" + DashesOf(to.curve));
  }
  return html;
}

Html Intervals(const std::vector<DrawnPoint>& points) {
  Html html;
  for (const DrawnPoint& one : points)
    html += Line(one.x, one.low, one.x, one.high,
                 "stroke=\"" + ColourOf(one.curve) + "\" stroke-opacity=\".5\" stroke-width=\"2\"");
  return html;
}

Html Dots(const std::vector<DrawnPoint>& points) {
  Html html;
  for (const DrawnPoint& one : points) {
    const CurvePoint& point = *one.point;
    const std::string missing = point.missing.empty() ? "" : ", " + point.missing;
    html +=
        Markup("<circle" + Attribute("cx", one.x) + Attribute("cy", one.y) + " r=\"4\"" +
               (point.missing.empty() ? "" : " class=\"hollow\"") + " fill=\"" +
               ColourOf(one.curve) + "\" stroke=\"" + ColourOf(one.curve) + "\"><title>") +
        Escaped(point.label + ": " + Number(point.y.value) + missing + " at " + Short(point.x)) +
        Markup("</title></circle>");
  }
  return html;
}

// Those that find a place: all are in the table too.
Html PointLabels(const std::vector<DrawnPoint>& points, const Plot& plot) {
  LabelPlaces places({plot.left(), 15, Plot::kRight + 8, Plot::kBottom});
  for (size_t i = 0; i < points.size(); ++i) {
    const DrawnPoint& one = points[i];
    places.AvoidPoint(one.place());
    places.AvoidLine({one.x, one.low}, {one.x, one.high});
    if (i > 0 && points[i - 1].curve == one.curve)
      places.AvoidLine(points[i - 1].place(), one.place());
  }
  Html html;
  for (const DrawnPoint& one : points) {
    const std::string text = one.point->label + (one.point->missing.empty() ? "" : "*");
    if (const auto box = places.Take(one.place(), TextWidth(text)))
      html += Markup("<g fill=\"" + ColourOf(one.curve) + "\">") +
              Label((box->left + box->right) / 2, box->bottom - 3, "middle", text) + Markup("</g>");
  }
  return Element("g", "labels", html);
}

}  // namespace

Html Histogram(std::string_view name, const std::vector<double>& values) {
  if (values.empty()) return {};
  const Bars bars = BarsOf(values);
  const int64_t most = *std::max_element(bars.counts.begin(), bars.counts.end());
  constexpr double kWidth = 300, kHeight = 90;
  const double step = kWidth / static_cast<double>(bars.counts.size());
  Html drawn;
  for (size_t i = 0; i < bars.counts.size(); ++i) {
    if (bars.counts[i] == 0) continue;
    const double height =
        std::max(1.0, kHeight * static_cast<double>(bars.counts[i]) / static_cast<double>(most));
    const double from = bars.low + bars.width * static_cast<double>(i);
    drawn += Markup("<rect class=\"fill\"" + Attribute("x", step * static_cast<double>(i) + 1) +
                    Attribute("y", kHeight - height) +
                    Attribute("width", std::max(1.0, std::min(step - 2, 40.0))) +
                    Attribute("height", height) + "><title>") +
             Escaped(Short(from) + ": " + Count(bars.counts[i])) + Markup("</title></rect>");
  }
  drawn += Line(0, kHeight, kWidth, kHeight, "class=\"axis\"");
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  const auto ends = std::minmax_element(values.begin(), values.end());
  return Element("div", "",
                 Element("p", "note",
                         Element("b", "", Escaped(name)) +
                             Escaped(" mean " + Short(mean) + ", " + Count(std::ssize(values)) +
                                     " answers, tallest bar " + Count(most))) +
                     Markup("<svg viewBox=\"0 0 300 91\" role=\"img\">") + drawn +
                     Markup("</svg>") +
                     Element("p", "axis-ends",
                             Element("span", "", Escaped(Short(*ends.first))) +
                                 Element("span", "", Escaped(Short(*ends.second)))));
}

Html Curves(const std::vector<Curve>& curves, std::string_view x_name, std::string_view y_name,
            double most) {
  const Plot plot(curves, most);
  const std::vector<DrawnPoint> points = PointsOf(plot, curves);
  const Html drawn = plot.Axes(x_name, y_name) + Joined(points) + Intervals(points) + Dots(points) +
                     PointLabels(points, plot);
  Html legend;
  for (size_t i = 0; i < curves.size(); ++i) {
    if (!curves[i].name.empty())
      legend += Markup("<span style=\"--c:" + ColourOf(i) + "\">") + Escaped(curves[i].name) +
                Markup("</span>");
  }
  Html html =
      Element("div", "curve",
              Markup("<svg viewBox=\"0 0 360 264\" role=\"img\">") + drawn + Markup("</svg>"));
  if (!legend.text.empty()) html += Element("p", "legend", legend);
  const bool moved = std::any_of(points.begin(), points.end(), [&](const DrawnPoint& one) {
    return std::abs(one.x - plot.X(one.point->x)) > 1;
  });
  if (moved)
    html += Element("p", "note",
                    Escaped("Points that would lie over each other are drawn side by side."));
  return html;
}

}  // namespace binocle::eval
