#include "vision/resize.h"

#include <gtest/gtest.h>

#include <array>

#include "core/json.h"
#include "core/safetensors.h"
#include "picture_testing.h"

namespace binocle {
namespace {

using testing::Crc32;
using testing::Fails;
using testing::NoisePicture;
using testing::SamePixels;

constexpr std::array<Filter, 6> kFilters = {Filter::kNearest, Filter::kLanczos, Filter::kBilinear,
                                            Filter::kBicubic, Filter::kBox,     Filter::kHamming};

Image Filled(int64_t width, int64_t height, std::array<uint8_t, 3> colour) {
  Image image(width, height);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = colour[i % 3];
  return image;
}

Image CutOut(const Image& image, const Region& region) {
  Image out(region.width, region.height);
  for (int64_t y = 0; y < region.height; ++y) {
    std::copy_n(image.row(region.top + y) + 3 * region.left, 3 * region.width, out.row(y));
  }
  return out;
}

// The golden's eight bytes at i·(n − 1)/7 tell roughly where a picture whose checksum is wrong begins to differ.
std::string Sample(const Image& image) {
  std::string hex;
  for (size_t i = 0; i < 8; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x",
                  unsigned{image.rgb[i * (image.rgb.size() - 1) / 7]});
    hex += digits;
  }
  return hex;
}

TEST(Resize, EqualsPillowOnFortySizesAndSixFilters) {
  const Json golden = ReadJsonFile(testing::Golden("pixels/resize.json"));
  int cases = 0;
  for (const Json& row : golden.at("rows")) {
    const Image source = NoisePicture(row[0], row[1], row[2]);
    for (size_t f = 0; f < kFilters.size(); ++f, ++cases) {
      const Image got = Resize(source, row[3], row[4], static_cast<Filter>(f));
      ASSERT_EQ(Crc32(got), row[5][f][0].get<uint32_t>())
          << row[0] << " x " << row[1] << " to " << row[3] << " x " << row[4] << ", filter " << f
          << ": bytes " << Sample(got) << ", want " << row[5][f][1];
    }
  }
  EXPECT_GE(cases, 1200);
}

TEST(Resize, EqualsPillowPixelByPixelOnSmallPictures) {
  const Json golden = ReadJsonFile(testing::Golden("pixels/resize.json"));
  const SafetensorsFile tensors(testing::Golden("pixels/reference.safetensors"));
  for (const Json& item : golden.at("outputs")) {
    const Image source = NoisePicture(item["source"][0], item["source"][1], item["source"][2]);
    Image want(item["target"][0], item["target"][1]);
    const TensorView stored = tensors.tensors().at(item["tensor"].get<std::string>());
    ASSERT_EQ(stored.shape(), (Shape{want.height, want.width, 3}));
    std::copy_n(static_cast<const uint8_t*>(stored.data()), want.rgb.size(), want.rgb.begin());
    EXPECT_TRUE(
        SamePixels(Resize(source, want.width, want.height, item["filter"].get<Filter>()), want))
        << item["tensor"];
  }
}

TEST(Resize, LeavesAPictureOfTheRightSizeAlone) {
  const Image image = NoisePicture(17, 23, 1);
  for (const Filter filter : kFilters)
    EXPECT_TRUE(SamePixels(Resize(image, 17, 23, filter), image));
}

TEST(Resize, KeepsOneColourWhateverTheSizes) {
  for (const Filter filter : kFilters) {
    for (const auto& [width, height] : {std::pair{1, 1}, {5, 200}, {64, 3}, {300, 301}}) {
      const Image got = Resize(Filled(37, 41, {0, 127, 255}), width, height, filter);
      EXPECT_TRUE(SamePixels(got, Filled(width, height, {0, 127, 255})))
          << "filter " << static_cast<int>(filter);
    }
  }
}

TEST(Resize, HalvesWithABoxByRoundedMeans) {
  Image image(4, 2);
  image.rgb = {0, 0, 0, 1, 2, 3, 10, 10, 10, 10, 10, 11, 0, 0, 0, 1, 2, 3, 20, 10, 10, 20, 10, 11};
  Image want(2, 1);
  // Rows first: (0 + 1)/2 rounds to 1, (10 + 11)/2 to 11; then columns.
  want.rgb = {1, 1, 2, 15, 10, 11};
  EXPECT_TRUE(SamePixels(Resize(image, 2, 1, Filter::kBox), want));
}

TEST(Resize, RegionsAreCutsOfTheWhole) {
  for (const auto& [from, to] : {std::pair{Region{0, 0, 61, 83}, Region{0, 0, 70, 95}},
                                 {{0, 0, 83, 61}, {0, 0, 20, 7}},
                                 {{0, 0, 20, 90}, {0, 0, 33, 11}},  // columns first
                                 {{0, 0, 50, 50}, {0, 0, 50, 31}},
                                 {{0, 0, 50, 50}, {0, 0, 31, 50}},
                                 {{0, 0, 50, 50}, {0, 0, 50, 50}}}) {
    const Image source = NoisePicture(from.width, from.height, 5);
    for (const Filter filter : kFilters) {
      const Image whole = Resize(source, to.width, to.height, filter);
      const Region part{to.width / 3, to.height / 4, to.width / 2, to.height / 2};
      EXPECT_TRUE(
          SamePixels(ResizeRegion(source, to.width, to.height, filter, part), CutOut(whole, part)))
          << to.width << " x " << to.height << ", filter " << static_cast<int>(filter);
    }
  }
}

TEST(Resize, ShowsTheMiddleOfALongStripWithoutComputingTheRest) {
  const Image strip = NoisePicture(1, 60'000, 3);
  const Image middle = ResizeRegion(strip, 70, 4'200'000, Filter::kBicubic, {0, 2'100'000, 70, 70});
  EXPECT_EQ(middle.height, 70);
}

TEST(Resize, RefusesWhatNeedsTooMuchMemory) {
  const Image image = NoisePicture(2, 2, 0);
  EXPECT_TRUE(Fails([&] { Resize(image, 100'000, 100'000, Filter::kBox); },
                    Code::kResourceExhausted, "100000 x 100000"));
  EXPECT_TRUE(Fails([&] { Resize(image, 1'000'000'000'000, 3, Filter::kNearest); },
                    Code::kResourceExhausted, "the limit"));
  // The result is small, what lies between the passes is not.
  const Image tall(1, 60'000);
  EXPECT_TRUE(Fails([&] { Resize(tall, 20'000, 59'999, Filter::kBox); }, Code::kResourceExhausted,
                    "20000 x"));
}

TEST(Resize, RefusesEmptySizes) {
  EXPECT_TRUE(Fails([] { Resize(Image(), 3, 3, Filter::kBox); }, Code::kInvalidArgument, "0 x 0"));
  EXPECT_TRUE(
      Fails([] { Resize(Image(2, 2), 0, 3, Filter::kBox); }, Code::kInvalidArgument, "0 x 3"));
  EXPECT_TRUE(
      Fails([] { Resize(Image(2, 2), 3, -1, Filter::kBox); }, Code::kInvalidArgument, "3 x -1"));
}

}  // namespace
}  // namespace binocle
