// Sinks that the device finds are those that the host would (llm/sinks.h), and its lists are whole and in order.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/segments.h"
#include "llm/sinks.h"
#include "llm/sinks_cuda.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/testing/numbers.h"

namespace binocle {
namespace {

constexpr int64_t kLayerBytes = 320;

// 300 rows of scores, some of them at τ itself, of zeros, and of so small a mean square that the released form is another.
std::vector<float> Scores(float tau) {
  testing::Numbers numbers(2);
  std::vector<float> scores;
  for (int row = 0; row < 300; ++row) {
    const float mean = row % 5 == 0 ? 1e-7F : std::abs(numbers.Normal(1)) + 0.01F;
    const float phi = row % 3 == 0 ? tau : std::abs(numbers.Normal(tau));
    scores.push_back(row % 11 == 0 ? 0 : phi * std::sqrt(mean));
    scores.push_back(row % 11 == 0 ? 0 : mean);
  }
  return scores;
}

void ExpectMarked(bool released, float tau) {
  const std::vector<float> scores = Scores(tau);
  const simt::Array<float> device_scores("scores", scores);
  const simt::Array<uint8_t> classes("classes", size_t{3 * kLayerBytes});
  // Text, then a picture; no sinks from position 250 on.
  const simt::Array<cuda::SinkRange> ranges(
      "ranges", std::vector<cuda::SinkRange>{
                    {0, 40, 0, 250, false, released, tau, classes.data(), kLayerBytes},
                    {40, 260, 40, 250, true, released, tau, classes.data(), kLayerBytes}});
  cuda::MarkSinks({.scores = device_scores.data(),
                   .ranges = ranges.data(),
                   .count = 2,
                   .most_rows = 260,
                   .layer = 2},
                  nullptr);
  EXPECT_EQ(simt::TakeReports().size(), 0U);
  int sinks = 0;
  for (size_t row = 0; row < 300; ++row) {
    const SinkScore score{.peak = scores[2 * row], .mean_square = scores[2 * row + 1]};
    const bool reaches = released ? score.released_phi() > tau : score.phi() >= tau;
    const bool sink = row < 250 && reaches;
    sinks += sink ? 1 : 0;
    EXPECT_EQ(classes[2 * kLayerBytes + row], (row >= 40 ? kVisualKey : 0) | (sink ? kSinkKey : 0))
        << row;
  }
  EXPECT_GT(sinks, 30);
  EXPECT_LT(sinks, 220);
}

TEST(MarkSinks, AreThoseOfTheHost) { ExpectMarked(false, 20); }
TEST(MarkSinks, ByTheReleasedTestToo) { ExpectMarked(true, 20); }

TEST(MarkSinks, WithoutScoresThereAreNone) {
  const simt::Array<uint8_t> classes("classes", size_t{2 * kLayerBytes});
  const simt::Array<cuda::SinkRange> ranges(
      "ranges",
      std::vector<cuda::SinkRange>{{0, 7, 3, 100, true, false, 0, classes.data(), kLayerBytes},
                                   {0, 7, 3, 100, true, false, 0, classes.data(), kLayerBytes}});
  // −1: a range for each layer.
  cuda::MarkSinks(
      {.scores = nullptr, .ranges = ranges.data(), .count = 2, .most_rows = 7, .layer = -1},
      nullptr);
  for (const size_t layer : {0, 1}) {
    EXPECT_EQ(classes[layer * kLayerBytes + 3], kVisualKey);
    EXPECT_EQ(classes[layer * kLayerBytes + 9], kVisualKey);
  }
  EXPECT_EQ(simt::TakeReports().size(), 0U);
}

TEST(ListSinks, ListsThemInOrder) {
  testing::Numbers numbers(4);
  std::vector<uint8_t> layers(2 * 2560);
  for (uint8_t& c : layers) c = static_cast<uint8_t>(numbers.Int(0, 3));
  const simt::Array<uint8_t> classes("classes", layers);
  const simt::Array<int32_t> first("first", 2560), second("second", 64), counts("counts", 4);
  const simt::Array<cuda::SinkListing> listings(
      "listings",
      std::vector<cuda::SinkListing>{{classes.data(), 2560, 2431, first.data(), counts.data()},
                                     {classes.data(), 2560, 3, second.data(), counts.data() + 2}});
  cuda::ListSinks({.sequences = listings.data(), .count = 2, .layer = 1}, nullptr);
  EXPECT_EQ(simt::TakeReports().size(), 0U);
  const auto expect = [&](size_t keys, const simt::Array<int32_t>& list, size_t at) {
    int32_t all = 0, visual = 0;
    for (size_t key = 0; key < keys; ++key) {
      const uint8_t c = layers[2560 + key];
      if ((c & kSinkKey) == 0) continue;
      EXPECT_EQ(list[static_cast<size_t>(all++)], static_cast<int32_t>(key));
      visual += (c & kVisualKey) != 0 ? 1 : 0;
    }
    EXPECT_EQ(counts[at], all);
    EXPECT_EQ(counts[at + 1], visual);
  };
  expect(2431, first, 0);
  expect(3, second, 2);
}

}  // namespace
}  // namespace binocle
