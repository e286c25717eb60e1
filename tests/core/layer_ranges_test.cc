#include "binocle/layer_ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "binocle/error.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;

TEST(LayerRanges, AreReadInAnyOrderAndWrittenInOne) {
  for (const auto& [text, written] : std::vector<std::pair<std::string, std::string>>{
           {"0", "0"},
           {"0-3,7,12-15", "0-3,7,12-15"},
           {"12-15,7,0-3", "0-3,7,12-15"},
           {"0-3,4,5-6", "0-6"},
           {"7-7", "7"},
           {"0-9223372036854775807", "0-9223372036854775807"}})
    EXPECT_EQ(LayerRanges::Parse(text).Text(), written) << text;
}

TEST(LayerRanges, ComeBackFromTheirText) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<int64_t> layers;
    for (int64_t l = 0; l < 20; ++l)
      if (random() % 3 == 0) layers.push_back(l);
    std::shuffle(layers.begin(), layers.end(), random);
    const LayerRanges ranges = LayerRanges::Of(layers);
    if (layers.empty()) {
      EXPECT_TRUE(ranges.empty());
      EXPECT_EQ(ranges.Text(), "");
      continue;
    }
    EXPECT_EQ(LayerRanges::Parse(ranges.Text()), ranges) << ranges.Text();
    for (int64_t l = -1; l < 21; ++l) {
      const bool in = std::find(layers.begin(), layers.end(), l) != layers.end();
      EXPECT_EQ(ranges.Contains(l), in) << l << " in " << ranges.Text();
    }
  }
}

TEST(LayerRanges, WhatIsNoneIsRefusedWithTheReason) {
  const std::string expected = ", expected layers such as 0-3,7,12-15";
  for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"5-1", ": 5-1 ends before it begins"},
           {"0-3,2-5", ": 2 is in it twice"},
           {"1,1", ": 1 is in it twice"},
           {"0-3,", ": nothing stands before or after a comma"},
           {",1", ": nothing stands before or after a comma"},
           {"-1", ": -1 is neither a layer nor a range"},
           {"1-", ": 1- is neither a layer nor a range"},
           {"0--1", ": 0--1 is neither a layer nor a range"},
           {"1-2-3", ": 1-2-3 is neither a layer nor a range"},
           {"1 2", ": 1 2 is neither a layer nor a range"},
           {"0-99999999999999999999", ": 0-99999999999999999999 is neither a layer nor a range"}}) {
    EXPECT_EQ(ErrorOf([&] { LayerRanges::Parse(text, "composite_layers"); }),
              "INVALID_ARGUMENT: composite_layers is " + (text.empty() ? "empty" : text) +
                  expected + why);
  }
  EXPECT_EQ(ErrorOf([] {
              LayerRanges({{3, 1}});
            }),
            "INVALID_ARGUMENT: layers is 3-1" + expected + ": 3-1 ends before it begins");
  EXPECT_EQ(ErrorOf([] {
              LayerRanges({{-2, 1}});
            }),
            "INVALID_ARGUMENT: layers is -2-1" + expected + ": -2-1 is below 0");
  EXPECT_EQ(ErrorOf([] { LayerRanges(std::vector<Layers>()); }),
            "INVALID_ARGUMENT: layers is empty" + expected);
}

TEST(LayerRanges, ErrorsNameTheOption) {
  try {
    LayerRanges::Parse("x", "composite_layers");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.option(), "composite_layers");
  }
}

}  // namespace
}  // namespace binocle
