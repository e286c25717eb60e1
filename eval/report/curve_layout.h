// Where the points of curves and their labels are drawn so that none hides another. In units of the drawing, y downwards.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace binocle::eval {

struct Place {
  double x = 0;
  double y = 0;
};
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  bool Overlaps(const Box& other) const;
  bool IsCrossedBy(const Place& from, const Place& to) const;
};

// Places along an axis, moved apart where they are (nearly) the same: beside each other in the order given, around where they were, within
// `low` … `high`.
std::vector<double> SpreadEqual(const std::vector<double>& places, double low, double high);

// Texts beside points. One that finds no place is left out.
class LabelPlaces {
 public:
  // Labels stay within `area`.
  explicit LabelPlaces(const Box& area) : area_(area) {}

  void AvoidPoint(const Place& point);                        // never covered
  void AvoidLine(const Place& from, const Place& to);         // crossed where there is no other way
  std::optional<Box> Take(const Place& point, double width);  // the text's box; taken from now on

 private:
  struct Line {
    Place from, to;
  };
  bool IsFree(const Box& box) const;
  size_t LinesThrough(const Box& box) const;

  Box area_;
  std::vector<Box> taken_;
  std::vector<Line> lines_;
};

}  // namespace binocle::eval
