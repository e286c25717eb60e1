#include "service/http/data_url.h"

#include <gtest/gtest.h>

#include "tests/testing/errors.h"

namespace binocle::http {
namespace {

TEST(Base64, RoundTripsEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 600; ++i) {
    const std::string text = EncodeBase64(bytes);
    EXPECT_EQ(text.size(), (bytes.size() + 2) / 3 * 4);
    EXPECT_EQ(DecodeBase64(text), bytes);
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_EQ(EncodeBase64("foob"), "Zm9vYg==");  // RFC 4648 section 10
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"Zg", "Zg=", "Zg==\n", " Zg==", "Zh==", "Zm9=", "====", "A===",
                           "Zg==Zg==", "Zm9v-_==", "Z=g=", "Zm9v!A=="})
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  EXPECT_EQ(DecodeBase64(""), "");
}

TEST(DataUrl, TakesPicturesByTheirLabel) {
  for (const char* head : {"data:image/png;base64,", "data:image/jpeg;base64,",
                           "data:image/jpg;base64,", "DATA:Image/WebP;BASE64,"}) {
    const ImageInput image = ImageFromUrl(std::string(head) + "Zm9v", 100, "here");
    EXPECT_EQ(image.bytes, "foo");
    EXPECT_EQ(image.path, "here");
  }
}

TEST(DataUrl, SaysWhatIsWrong) {
  const auto error = [](const std::string& url) {
    return binocle::testing::ErrorOf([&] { ImageFromUrl(url, 3, "here"); });
  };
  const std::string expected =
      "expected data:image/png;base64,… (or jpeg, webp); URLs are not fetched";
  EXPECT_EQ(error("https://a.org/cat.png"),
            "INVALID_ARGUMENT: here is \"https://a.org/cat.png\", " + expected);
  EXPECT_EQ(error("file:///etc/passwd"),
            "INVALID_ARGUMENT: here is \"file:///etc/passwd\", " + expected);
  EXPECT_EQ(error(""), "INVALID_ARGUMENT: here is \"\", " + expected);
  EXPECT_EQ(error("data:image/png,abc"),
            "INVALID_ARGUMENT: here is a data URL without ;base64, " + expected);
  EXPECT_EQ(error("data:image/gif;base64,Zm9v"),
            "INVALID_ARGUMENT: here is a data URL of type \"image/gif\", expected image/png, "
            "image/jpeg or image/webp");
  EXPECT_EQ(error("data:image/png;base64,"), "INVALID_ARGUMENT: here is a data URL without data");
  EXPECT_EQ(error("data:image/png;base64,Zm9"),
            "INVALID_ARGUMENT: here is a data URL whose data is no base64 (padded, without white "
            "space)");
  EXPECT_EQ(error("data:image/png;base64,Zm9vZm9vZm9v"),
            "RESOURCE_EXHAUSTED: here is a picture of more than 3 bytes, the limit");
}

}  // namespace
}  // namespace binocle::http
