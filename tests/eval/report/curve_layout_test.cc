#include "eval/report/curve_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace binocle::eval {
namespace {

TEST(CurveLayout, DrawsEqualPointsSideBySide) {
  const std::vector<double> spread = SpreadEqual({100, 200, 100.1, 100, 300}, 0, 400);
  EXPECT_EQ(spread[1], 200);
  EXPECT_EQ(spread[4], 300);
  EXPECT_LT(spread[0] + 8, spread[2]);  // a point is 8 wide
  EXPECT_LT(spread[2] + 8, spread[3]);
  EXPECT_NEAR((spread[0] + spread[3]) / 2, 100, 0.2);
}

TEST(CurveLayout, KeepsPointsWithinThePlot) {
  for (const double at : {0.0, 200.0, 400.0}) {
    const auto [least, most] = [&] {
      const std::vector<double> spread = SpreadEqual(std::vector<double>(20, at), 0, 400);
      return std::pair(*std::min_element(spread.begin(), spread.end()),
                       *std::max_element(spread.begin(), spread.end()));
    }();
    EXPECT_GE(least, 0);
    EXPECT_LE(most, 400);
    EXPECT_LE(most - least, 100);
  }
  EXPECT_TRUE(SpreadEqual({}, 0, 400).empty());
}

TEST(CurveLayout, BoxesKnowWhatCrossesThem) {
  const Box box{10, 10, 20, 20};
  EXPECT_TRUE(box.IsCrossedBy({15, 0}, {15, 40}));
  EXPECT_TRUE(box.IsCrossedBy({0, 0}, {40, 40}));
  EXPECT_TRUE(box.IsCrossedBy({12, 12}, {13, 13}));
  EXPECT_FALSE(box.IsCrossedBy({25, 0}, {25, 40}));
  EXPECT_FALSE(box.IsCrossedBy({15, 0}, {15, 9}));
  EXPECT_FALSE(box.IsCrossedBy({0, 15}, {15, 40}));
}

// The middle of three points joined by a line, with its interval: there is room above and below the line.
TEST(CurveLayout, WritesLabelsWhereNoLineStrikesThemThrough) {
  LabelPlaces places({0, 0, 300, 200});
  const std::vector<Place> points = {{50, 100}, {150, 100}, {250, 100}};
  for (const Place& point : points) {
    places.AvoidPoint(point);
    places.AvoidLine({point.x, 60}, {point.x, 140});
  }
  places.AvoidLine(points[0], points[1]);
  places.AvoidLine(points[1], points[2]);
  for (const Place& point : points) {
    const auto box = places.Take(point, 20);
    ASSERT_TRUE(box);
    EXPECT_FALSE(box->IsCrossedBy({point.x, 60}, {point.x, 140}));
    EXPECT_FALSE(box->IsCrossedBy(points[0], points[2]));
  }
}

TEST(CurveLayout, WritesNoLabelOverAnother) {
  LabelPlaces places({0, 0, 120, 60});
  std::vector<Box> boxes;
  for (int i = 0; i < 20; ++i) {
    if (const auto box = places.Take({60, 30}, 30)) boxes.push_back(*box);
  }
  ASSERT_GE(boxes.size(), 2u);
  EXPECT_LT(boxes.size(), 20u);
  for (size_t i = 0; i < boxes.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(boxes[i].Overlaps(boxes[j])) << i << " " << j;
  }
}

}  // namespace
}  // namespace binocle::eval
