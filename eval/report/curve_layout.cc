#include "eval/report/curve_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace binocle::eval {
namespace {

constexpr double kSame = 2;         // nearer than this, points are at the same place
constexpr double kApart = 16;       // and are drawn so far from each other
constexpr double kMostSpread = 96;  // all of a place together
constexpr double kRadius = 5;       // of a point, with its rim
constexpr double kGap = 7;          // from a point to its label
constexpr double kAscent = 10;      // of a label
constexpr double kDescent = 3;

}  // namespace

bool Box::Overlaps(const Box& other) const {
  return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
}

// The part of the line within each pair of sides in turn (Liang and Barsky).
bool Box::IsCrossedBy(const Place& from, const Place& to) const {
  double begin = 0;
  double end = 1;
  const auto clip = [&](double start, double step, double low, double high) {
    if (step == 0) return start > low && start < high;
    const double a = (low - start) / step;
    const double b = (high - start) / step;
    begin = std::max(begin, std::min(a, b));
    end = std::min(end, std::max(a, b));
    return begin < end;
  };
  return clip(from.x, to.x - from.x, left, right) && clip(from.y, to.y - from.y, top, bottom);
}

std::vector<double> SpreadEqual(const std::vector<double>& places, double low, double high) {
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return places[a] < places[b]; });
  std::vector<double> spread = places;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && places[order[end]] - places[order[begin]] < kSame) ++end;
    std::vector<size_t> same(order.begin() + static_cast<std::ptrdiff_t>(begin),
                             order.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
    if (same.size() == 1) continue;
    std::sort(same.begin(), same.end());
    const auto gaps = static_cast<double>(same.size() - 1);
    const double width = std::min({kApart * gaps, kMostSpread, high - low});
    const double left = std::clamp(places[same[0]] - width / 2, low, high - width);
    for (size_t i = 0; i < same.size(); ++i)
      spread[same[i]] = left + width * static_cast<double>(i) / gaps;
  }
  return spread;
}

void LabelPlaces::AvoidPoint(const Place& point) {
  taken_.push_back({point.x - kRadius, point.y - kRadius, point.x + kRadius, point.y + kRadius});
}

void LabelPlaces::AvoidLine(const Place& from, const Place& to) { lines_.push_back({from, to}); }

std::optional<Box> LabelPlaces::Take(const Place& point, double width) {
  const double right = point.x + kGap;
  const double left = point.x - kGap - width;
  const double middle = point.x - width / 2;
  const double above = point.y - kGap + 2;
  const double below = point.y + kGap + kAscent - 2;
  // The left end of the text and its baseline.
  const std::array<Place, 8> candidates = {{{right, above},
                                            {left, above},
                                            {right, below},
                                            {left, below},
                                            {middle, above - 3},
                                            {middle, below + 3},
                                            {right, point.y + 4},
                                            {left, point.y + 4}}};
  std::optional<Box> best;
  size_t fewest = 0;
  for (const Place& at : candidates) {
    const Box box{at.x, at.y - kAscent, at.x + width, at.y + kDescent};
    if (!IsFree(box)) continue;
    const size_t lines = LinesThrough(box);
    if (best && lines >= fewest) continue;
    best = box;
    fewest = lines;
  }
  if (best) taken_.push_back(*best);
  return best;
}

bool LabelPlaces::IsFree(const Box& box) const {
  if (box.left < area_.left || box.right > area_.right || box.top < area_.top ||
      box.bottom > area_.bottom)
    return false;
  return std::none_of(taken_.begin(), taken_.end(),
                      [&](const Box& other) { return box.Overlaps(other); });
}

size_t LabelPlaces::LinesThrough(const Box& box) const {
  return static_cast<size_t>(std::count_if(lines_.begin(), lines_.end(), [&](const Line& line) {
    return box.IsCrossedBy(line.from, line.to);
  }));
}

}  // namespace binocle::eval
