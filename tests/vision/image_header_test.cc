#include "vision/image_header.h"

#include <gtest/gtest.h>

#include "picture_testing.h"
#include "vision/exif.h"

namespace binocle {
namespace {

using testing::Fails;
using testing::FixtureBytes;

const std::string kWhere = "picture";

void ExpectInvalidHeader(std::string_view bytes, const std::string& text) {
  EXPECT_TRUE(
      Fails([&] { ParseImageHeader(bytes, kWhere); }, Code::kInvalidArgument, "picture: " + text));
}

TEST(ImageHeader, ReadsFormatAndSizeOfEachKind) {
  for (const auto& [name, format] : {std::pair{"exif_6.jpg", ImageFormat::kJpeg},
                                     {"progressive.jpg", ImageFormat::kJpeg},
                                     {"palette.png", ImageFormat::kPng},
                                     {"lossy.webp", ImageFormat::kWebp},
                                     {"lossless.webp", ImageFormat::kWebp},
                                     {"exif_8.webp", ImageFormat::kWebp}}) {
    const ImageHeader header = ParseImageHeader(FixtureBytes(name), name);
    EXPECT_EQ(header.format, format) << name;
    EXPECT_EQ(header.width, 12) << name;
    EXPECT_EQ(header.height, 8) << name;
  }
}

TEST(ImageHeader, ReadsSizesFarBeyondAnyLimit) {
  EXPECT_EQ(ParseImageHeader(FixtureBytes("huge.png"), kWhere).width, 60'000);
  EXPECT_EQ(ParseImageHeader(FixtureBytes("huge.jpg"), kWhere).height, 60'000);
  std::string png = FixtureBytes("rgb.png");
  png.replace(16, 8, 8, '\xff');
  EXPECT_EQ(ParseImageHeader(png, kWhere).width, 4'294'967'295);
}

TEST(ImageHeader, NamesWhatTheFileIsInstead) {
  ExpectInvalidHeader("", "is empty, expected a JPEG, PNG or WebP picture");
  ExpectInvalidHeader("%PDF-1.7\n%\xe2\xe3", "is a PDF document");
  ExpectInvalidHeader("GIF89a", "is a GIF picture");
  ExpectInvalidHeader(std::string_view("II*\0\x08\0\0\0", 8), "is a TIFF picture");
  ExpectInvalidHeader(std::string_view("\0\0\0\x1c"
                                       "ftypavif\0\0\0\0",
                                       16),
                      "is an AVIF picture");
  ExpectInvalidHeader(std::string_view("\0\0\0\x18"
                                       "ftypheic\0\0\0\0",
                                       16),
                      "is a HEIC picture");
  ExpectInvalidHeader("PK\3\4....", "is a ZIP archive");
  ExpectInvalidHeader("<?xml version", "is markup");
  ExpectInvalidHeader("dear diary, today", "is text (\"dear diary, toda\")");
  ExpectInvalidHeader(std::string_view("RIFF\x10\0\0\0WAVEfmt ", 16), "is a RIFF file but no WebP");
  ExpectInvalidHeader(std::string_view("\0\1\2\3", 4),
                      "is of an unknown kind (begins with 00 01 02 03)");
}

TEST(ImageHeader, RefusesSidesOfZero) {
  std::string png = FixtureBytes("rgb.png");
  png.replace(16, 4, 4, '\0');
  ExpectInvalidHeader(png, "is a PNG of 0 x 8 pixels");
  std::string jpeg = FixtureBytes("grey.jpg");
  jpeg.replace(jpeg.find("\xff\xc0") + 5, 2, 2, '\0');
  ExpectInvalidHeader(jpeg, "is a JPEG of 12 x 0 pixels");
}

TEST(ImageHeader, RefusesKindsOfJpegThatCannotBeDecoded) {
  std::string jpeg = FixtureBytes("grey.jpg");
  const size_t frame = jpeg.find("\xff\xc0");
  std::string deep = jpeg;
  deep[frame + 4] = 12;
  EXPECT_TRUE(Fails([&] { ParseImageHeader(deep, kWhere); }, Code::kUnimplemented,
                    "12 bits a sample, expected 8"));
  jpeg[frame + 1] = '\xc3';
  EXPECT_TRUE(Fails([&] { ParseImageHeader(jpeg, kWhere); }, Code::kUnimplemented,
                    "lossless or hierarchical JPEG"));
}

TEST(ImageHeader, RefusesAnimatedWebp) {
  EXPECT_TRUE(Fails([] { ParseImageHeader(FixtureBytes("animated.webp"), kWhere); },
                    Code::kUnimplemented, "animated WebP"));
}

TEST(ImageHeader, RefusesImpossiblePngHeaders) {
  for (const auto& [at, value] :
       {std::pair{24, 3}, {24, 32}, {25, 5}, {25, 1}, {25, 200}, {26, 1}, {27, 1}, {28, 2}}) {
    std::string png = FixtureBytes("rgb.png");
    png[at] = static_cast<char>(value);
    ExpectInvalidHeader(png, "corrupt PNG: IHDR says");
  }
}

// Every prefix of every good file is refused by one check or the other, and none reads past its end (run under ASan).
TEST(ImageHeader, RefusesEveryPrefix) {
  for (const char* name :
       {"exif_6.jpg", "progressive.jpg", "palette_transparent.png", "exif_8.webp", "lossy.webp"}) {
    const std::string whole = FixtureBytes(name);
    EXPECT_NO_THROW(CheckImageStructure(whole, ParseImageHeader(whole, name).format, name)) << name;
    for (size_t size = 0; size < whole.size(); ++size) {
      // A buffer of its own, so that the sanitizer sees the end.
      const std::vector<char> part(whole.begin(), whole.begin() + static_cast<int64_t>(size));
      const std::string_view bytes(part.data(), part.size());
      EXPECT_TRUE(
          Fails([&] { CheckImageStructure(bytes, ParseImageHeader(bytes, name).format, name); },
                Code::kInvalidArgument, name))
          << size << " bytes";
    }
  }
}

TEST(ImageHeader, SaysThatATruncatedFileIsTruncated) {
  EXPECT_TRUE(
      Fails([] { CheckImageStructure(FixtureBytes("no_end.jpg"), ImageFormat::kJpeg, kWhere); },
            Code::kInvalidArgument, "truncated JPEG"));
  const std::string png = FixtureBytes("rgb.png");
  EXPECT_TRUE(
      Fails([&] { CheckImageStructure(png.substr(0, png.size() - 12), ImageFormat::kPng, kWhere); },
            Code::kInvalidArgument, "truncated PNG"));
  const std::string webp = FixtureBytes("lossy.webp");
  EXPECT_TRUE(Fails(
      [&] { CheckImageStructure(webp.substr(0, webp.size() / 2), ImageFormat::kWebp, kWhere); },
      Code::kInvalidArgument, "truncated WebP"));
}

TEST(ImageHeader, RefusesAJpegOfEndlesslyManyScans) {
  std::string jpeg = FixtureBytes("progressive.jpg");
  const size_t scan = jpeg.rfind("\xff\xda");
  const std::string last = jpeg.substr(scan, jpeg.size() - 2 - scan);
  jpeg.resize(jpeg.size() - 2);
  for (int i = 0; i < 100; ++i) jpeg += last;
  jpeg += "\xff\xd9";
  EXPECT_TRUE(Fails([&] { CheckImageStructure(jpeg, ImageFormat::kJpeg, kWhere); },
                    Code::kInvalidArgument, "more than 64 scans"));
}

TEST(ImageHeader, AcceptsBytesAfterThePicturesEnd) {
  for (const char* name : {"grey.jpg", "rgb.png", "lossy.webp"}) {
    const std::string bytes = FixtureBytes(name) + "trailing bytes";
    EXPECT_NO_THROW(CheckImageStructure(bytes, ParseImageHeader(bytes, name).format, name)) << name;
  }
}

TEST(Exif, FindsTheOrientationInEachFormat) {
  for (int value = 1; value <= 8; ++value) {
    EXPECT_EQ(
        ExifOrientation(FixtureBytes("exif_" + std::to_string(value) + ".jpg"), ImageFormat::kJpeg),
        value);
  }
  EXPECT_EQ(ExifOrientation(FixtureBytes("exif_6.png"), ImageFormat::kPng), 6);
  EXPECT_EQ(ExifOrientation(FixtureBytes("exif_8.webp"), ImageFormat::kWebp), 8);
  EXPECT_EQ(ExifOrientation(FixtureBytes("rgb.png"), ImageFormat::kPng), 1);
}

TEST(Exif, ReadsBothByteOrdersAndForgivesDamage) {
  const std::string little("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 22);
  const std::string big("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", 22);
  EXPECT_EQ(TiffOrientation(little), 6);
  EXPECT_EQ(TiffOrientation(big), 6);
  for (size_t size = 0; size < little.size(); ++size)
    EXPECT_EQ(TiffOrientation(std::string_view(little).substr(0, size)), 1);
  for (const auto& [at, value] : {std::pair{18, 9}, {18, 0}, {4, 200}, {14, 2}, {12, 2}, {2, 43}}) {
    std::string damaged = little;
    damaged[at] = static_cast<char>(value);
    EXPECT_EQ(TiffOrientation(damaged), 1) << "byte " << at;
  }
}

}  // namespace
}  // namespace binocle
