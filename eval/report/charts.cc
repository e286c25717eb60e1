#include "eval/report/charts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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

// The plot of curves within its margins.
class Plot {
 public:
  Plot(const std::vector<Curve>& curves, double most) {
    for (const Curve& curve : curves) {
      for (const CurvePoint& point : curve.points) {
        x_.Take(point.x);
        y_.Take(point.y.low);
        y_.Take(point.y.high);
      }
    }
    x_.Widen();
    y_.Widen();
    y_.low = std::max(y_.low, 0.0);
    y_.high = std::min(y_.high, most);
  }
  double X(double x) const { return kLeft + (kRight - kLeft) * x_.Share(x); }
  double Y(double y) const { return kBottom - (kBottom - kTop) * y_.Share(y); }

  Html Axes(std::string_view x_name, std::string_view y_name) const {
    Html html = Line(kLeft, kBottom, kRight, kBottom, "class=\"axis\"");
    for (int i = 0; i <= 4; ++i) {
      const double x = x_.low + (x_.high - x_.low) * i / 4;
      const double y = y_.low + (y_.high - y_.low) * i / 4;
      html += Line(kLeft, Y(y), kRight, Y(y), "class=\"axis\"");
      html += Label(kLeft - 6, Y(y) + 4, "end", Number(y, y_.Digits()));
      if (i % 2 == 0)
        html += Label(X(x), kBottom + 16, i == 4 ? "end" : "middle", Number(x, x_.Digits()));
    }
    html += Label((kLeft + kRight) / 2, kBottom + 34, "middle", x_name);
    return html + Label(4, 12, "start", y_name);
  }

  static constexpr double kLeft = 42, kRight = 350, kTop = 24, kBottom = 210;

 private:
  struct Range {
    double low = INFINITY;
    double high = -INFINITY;

    void Take(double value) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
    void Widen() {
      const double margin = high > low ? 0.06 * (high - low) : std::max(0.05, 0.05 * std::abs(low));
      low -= margin;
      high += margin;
    }
    // As many as tell five marks along it apart.
    int Digits() const {
      return std::clamp(1 - static_cast<int>(std::floor(std::log10((high - low) / 4))), 0, 6);
    }
    double Share(double value) const { return (value - low) / (high - low); }
  };
  Range x_;
  Range y_;
};

// Labels that are there already, so that none is written over another: all are in the table too.
class Labels {
 public:
  bool IsFree(double x, double y, size_t length) {
    const double width = 6.5 * static_cast<double>(length);
    for (const Box& box : boxes_) {
      if (std::abs(box.y - y) < 12 && x < box.x + box.width && box.x < x + width) return false;
    }
    boxes_.push_back({x, y, width});
    return true;
  }

 private:
  struct Box {
    double x, y, width;
  };
  std::vector<Box> boxes_;
};

Html Draw(const Plot& plot, const Curve& curve, size_t number, Labels& labels) {
  const std::string colour = "var(--s" + std::to_string(number % kColours) + ")";
  std::string path;
  Html points;
  for (const CurvePoint& point : curve.points) {
    const double x = plot.X(point.x);
    const double y = plot.Y(point.y.value);
    path += (path.empty() ? "M" : "L") + Number(x, 2) + " " + Number(y, 2);
    points += Line(x, plot.Y(point.y.low), x, plot.Y(point.y.high),
                   "stroke=\"" + colour + "\" stroke-opacity=\".5\" stroke-width=\"2\"");
    points += Markup("<circle" + Attribute("cx", x) + Attribute("cy", y) + " r=\"4\" fill=\"" +
                     colour + "\"><title>") +
              Escaped(point.label + ": " + Number(point.y.value) + " at " + Short(point.x)) +
              Markup("</title></circle>");
    const double width = 6.5 * static_cast<double>(point.label.size());
    const bool at_right = x + 7 + width > Plot::kRight + 8;
    if (labels.IsFree(at_right ? x - 7 - width : x + 7, y, point.label.size()))
      points += Label(at_right ? x - 7 : x + 7, y - 6, at_right ? "end" : "start", point.label);
  }
  return Markup("<path d=\"" + path + "\" fill=\"none\" stroke=\"" + colour +
                "\" stroke-width=\"2\"/>") +
         points;
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
  Html drawn = plot.Axes(x_name, y_name);
  Html legend;
  Labels labels;
  for (size_t i = 0; i < curves.size(); ++i) {
    drawn += Draw(plot, curves[i], i, labels);
    if (!curves[i].name.empty())
      legend += Markup("<span style=\"--c:var(--s" + std::to_string(i % kColours) + ")\">") +
                Escaped(curves[i].name) + Markup("</span>");
  }
  Html html =
      Element("div", "curve",
              Markup("<svg viewBox=\"0 0 360 250\" role=\"img\">") + drawn + Markup("</svg>"));
  if (!legend.text.empty()) html += Element("p", "legend", legend);
  return html;
}

}  // namespace binocle::eval
