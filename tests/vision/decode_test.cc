#include "vision/decode.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "picture_testing.h"
#include "vision/exif.h"

namespace binocle {
namespace {

using testing::Crc32;
using testing::Fails;
using testing::Fixture;
using testing::FixtureBytes;
using testing::SamePixels;

Image Read(const std::string& name, const DecodeOptions& options = {}) {
  return ReadImage(Fixture(name), options);
}

void ExpectInvalid(const std::string& name, const std::string& text) {
  EXPECT_TRUE(
      Fails([&] { Read(name); }, Code::kInvalidArgument, Fixture(name).string() + ": " + text));
}

// The picture that most fixtures show.
Image Gradient() {
  Image image(12, 8);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 12; ++x) {
      uint8_t* pixel = image.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(20 * x);
      pixel[1] = static_cast<uint8_t>(30 * y);
      pixel[2] = static_cast<uint8_t>(10 * (x + y));
    }
  }
  return image;
}

TEST(Decode, EqualsPillowOnEveryFixture) {
  std::ifstream expected(Fixture("expected.txt"));
  std::string name;
  int64_t width;
  int64_t height;
  uint32_t crc;
  int count = 0;
  for (; expected >> name >> width >> height >> crc; ++count) {
    const Image image = Read(name);
    EXPECT_EQ(image.width, width) << name;
    EXPECT_EQ(image.height, height) << name;
    EXPECT_EQ(Crc32(image), crc) << name << ": " << SamePixels(image, Gradient()).message();
  }
  EXPECT_GE(count, 28);
}

TEST(Decode, KeepsLosslessPixels) {
  for (const char* name :
       {"rgb.png", "lossless.webp", "rgb16.png", "interlaced.png", "animated.png", "bulky.png"}) {
    EXPECT_TRUE(SamePixels(Read(name), Gradient())) << name;
  }
}

TEST(Decode, LeavesOrientationAloneWhenAskedTo) {
  const DecodeOptions stored{.exif = false};
  const Image upright = Read("exif_1.jpg");
  for (int value = 1; value <= 8; ++value) {
    const std::string name = "exif_" + std::to_string(value) + ".jpg";
    EXPECT_TRUE(SamePixels(Read(name, stored), upright)) << name;
    EXPECT_TRUE(SamePixels(Read(name), ApplyOrientation(upright, value))) << name;
  }
  EXPECT_TRUE(SamePixels(Read("exif_6.png", stored), Gradient()));
  EXPECT_TRUE(SamePixels(Read("exif_8.webp", stored), Gradient()));
}

TEST(Decode, TurnsPicturesTheWayExifSays) {
  Image image(2, 1);
  image.rgb = {1, 1, 1, 2, 2, 2};  // left, right
  EXPECT_EQ(ApplyOrientation(image, 2).rgb, (std::vector<uint8_t>{2, 2, 2, 1, 1, 1}));
  EXPECT_EQ(ApplyOrientation(image, 4).rgb, image.rgb);
  EXPECT_EQ(ApplyOrientation(image, 6).height, 2);
  EXPECT_EQ(ApplyOrientation(image, 6).rgb,
            image.rgb);  // a quarter turn clockwise puts the left end on top
  EXPECT_EQ(ApplyOrientation(image, 8).rgb, (std::vector<uint8_t>{2, 2, 2, 1, 1, 1}));
}

TEST(Decode, PutsAlphaOverWhite) {
  const Image image = Read("rgba.png");
  const Image colours = Gradient();
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 12; ++x) {
      const int alpha = (x * 23 + y) % 256;
      for (int c = 0; c < 3; ++c) {
        const int colour = colours.row(y)[3 * x + c];
        EXPECT_EQ(image.row(y)[3 * x + c], (colour * alpha + 255 * (255 - alpha) + 127) / 255)
            << "x " << x << ", y " << y;
      }
    }
  }
}

TEST(Decode, ReadsCmykJpegToWithinAUnitOrTwo) {
  const Image image = Read("cmyk.jpg");
  const Image want = Gradient();
  for (size_t i = 0; i < want.rgb.size(); ++i) EXPECT_NEAR(image.rgb[i], want.rgb[i], 12) << i;
}

TEST(Decode, ChecksPixelLimitsBeforeDecoding) {
  for (const char* name : {"huge.png", "huge.jpg"}) {
    EXPECT_TRUE(Fails([&] { Read(name); }, Code::kResourceExhausted,
                      "60000 x 60000 pixels, the limit is 100000000 in all"));
  }
  // Only the header is there: the limit is named, not the missing rest.
  EXPECT_TRUE(Fails([] { DecodeImage(FixtureBytes("huge.png").substr(0, 40), {}, "upload"); },
                    Code::kResourceExhausted, "upload: is a PNG of 60000 x 60000"));
  EXPECT_TRUE(Fails([] { Read("rgb.png", {.max_pixels = 95}); }, Code::kResourceExhausted,
                    "12 x 8 pixels, the limit is 95"));
  EXPECT_NO_THROW(Read("rgb.png", {.max_pixels = 96}));
  EXPECT_TRUE(Fails([] { Read("rgb.png", {.max_side = 11}); }, Code::kResourceExhausted,
                    "the limit is 11 a side"));
}

TEST(Decode, ChecksByteLimits) {
  const DecodeOptions small{.max_bytes = 50};
  EXPECT_TRUE(Fails([&] { Read("rgb.png", small); }, Code::kResourceExhausted, "the limit is 50"));
  EXPECT_TRUE(Fails([&] { DecodeImage(FixtureBytes("rgb.png"), small, "upload"); },
                    Code::kResourceExhausted, "upload: is"));
}

TEST(Decode, RefusesTruncatedFilesInsteadOfFillingThemWithGrey) {
  ExpectInvalid("no_end.jpg", "truncated JPEG");
  ExpectInvalid("short.png", "truncated PNG: less picture data");
  for (const char* name : {"exif_1.jpg", "progressive.jpg", "rgb.png", "lossy.webp"}) {
    const std::string bytes = FixtureBytes(name);
    EXPECT_TRUE(
        Fails([&] { DecodeImage(std::string_view(bytes).substr(0, bytes.size() / 2), {}, name); },
              Code::kInvalidArgument, "truncated"))
        << name;
  }
}

TEST(Decode, RefusesCorruptFilesWithOneError) {
  ::testing::internal::CaptureStderr();
  ExpectInvalid("checksum.png", "corrupt PNG: wrong checksum of chunk IDAT");
  ExpectInvalid("filter.png", "corrupt PNG: row filter 7");
  ExpectInvalid("no_zlib.png", "corrupt PNG: incorrect header check");
  ExpectInvalid("no_palette.png", "corrupt PNG: a palette of 0 bytes");
  ExpectInvalid("broken.webp", "corrupt WebP");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "")
      << "the codec printed something of its own";
}

TEST(Decode, StopsAtThePicturesEndInADecompressionBomb) {
  const auto begin = std::chrono::steady_clock::now();
  ExpectInvalid("bomb.png", "corrupt PNG: more picture data than its dimensions say");
  EXPECT_TRUE(
      SamePixels(Read("bulky.png"),
                 Gradient()));  // a bomb in a comment and in a colour profile: never unpacked
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(Decode, RefusesWhatIsNoFile) {
  EXPECT_TRUE(Fails([] { Read("nothing_here.png"); }, Code::kNotFound, "nothing_here.png"));
  EXPECT_TRUE(Fails([] { ReadImage(Fixture(""), {}); }, Code::kInvalidArgument, "is a directory"));
  EXPECT_TRUE(
      Fails([] { ReadImage("/dev/zero", {}); }, Code::kInvalidArgument, "not a regular file"));
  const std::string fifo = ::testing::TempDir() + "binocle_decode_fifo." + std::to_string(getpid());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(Fails([&] { ReadImage(fifo, {}); }, Code::kInvalidArgument, "not a regular file"));
  unlink(fifo.c_str());
}

TEST(Decode, RefusesEmptyAndForeignBytes) {
  EXPECT_TRUE(Fails([] { DecodeImage("", {}, "images[0]"); }, Code::kInvalidArgument,
                    "images[0]: is empty"));
  EXPECT_TRUE(Fails([] { DecodeImage("%PDF-1.4 …", {}, "x.jpg"); }, Code::kInvalidArgument,
                    "x.jpg: is a PDF document"));
}

// Whatever is done to a byte, the answer is a picture of the header's size or a binocle::Error.
TEST(Decode, SurvivesEveryDamagedByte) {
  ::testing::internal::CaptureStderr();  // libjpeg reports damaged scans there by itself
  for (const char* name : {"exif_6.jpg", "progressive.jpg", "palette_transparent.png",
                           "interlaced.png", "lossy.webp"}) {
    const std::string whole = FixtureBytes(name);
    for (size_t at = 0; at < whole.size(); ++at) {
      for (const char value : {'\x00', '\xff', static_cast<char>(whole[at] ^ 0x10)}) {
        std::string damaged = whole;
        damaged[at] = value;
        try {
          DecodeImage(damaged, {.max_pixels = 1'000'000}, name);
        } catch (const Error&) {
        }
      }
    }
  }
  ::testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace binocle
