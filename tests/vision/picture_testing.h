// Helpers of the picture tests: the noise of tools/reference/pictures.py, checksums, fixtures, and first differences.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "binocle/error.h"
#include "core/mapped_file.h"
#include "vision/image.h"

namespace binocle::testing {

inline std::filesystem::path Golden(const std::string& name) {
  return std::filesystem::path(BINOCLE_TEST_DATA) / name;
}

inline std::filesystem::path Fixture(const std::string& name) {
  return std::filesystem::path(BINOCLE_TEST_DATA).parent_path() / "data" / "images" / name;
}

inline std::string FixtureBytes(const std::string& name) {
  return ReadFile(Fixture(name), size_t{1} << 20);
}

// tools/reference/pictures.py: noise_picture(width, height, seed).
inline Image NoisePicture(int64_t width, int64_t height, uint32_t seed) {
  Image image(width, height);
  size_t at = 0;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      for (uint32_t c = 0; c < 3; ++c) {
        uint32_t h = x * 374761393U + y * 668265263U + c * 2246822519U + seed * 3266489917U;
        h = (h ^ h >> 15) * 2246822519U;
        h = (h ^ h >> 13) * 3266489917U;
        image.rgb[at++] = static_cast<uint8_t>(h ^ h >> 16);
      }
    }
  }
  return image;
}

// zlib's CRC-32.
inline uint32_t Crc32(const void* data, size_t size) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<const uint8_t*>(data)[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  return ~crc;
}

inline uint32_t Crc32(const Image& image) { return Crc32(image.rgb.data(), image.rgb.size()); }

// Equal, or the first pixel that differs.
inline ::testing::AssertionResult SamePixels(const Image& got, const Image& want) {
  if (got.width != want.width || got.height != want.height) {
    return ::testing::AssertionFailure() << "got " << got.width << " x " << got.height << ", want "
                                         << want.width << " x " << want.height;
  }
  const auto [a, b] = std::mismatch(got.rgb.begin(), got.rgb.end(), want.rgb.begin());
  if (a == got.rgb.end()) return ::testing::AssertionSuccess();
  const int64_t at = a - got.rgb.begin();
  return ::testing::AssertionFailure()
         << "pixel (x " << at / 3 % got.width << ", y " << at / 3 / got.width << ", channel "
         << at % 3 << "): got " << int{*a} << ", want " << int{*b};
}

// `call` throws a binocle::Error of this code whose message contains `text`.
inline ::testing::AssertionResult Fails(const std::function<void()>& call, Code code,
                                        const std::string& text) {
  try {
    call();
  } catch (const Error& e) {
    if (e.code() == code && e.message().find(text) != std::string::npos)
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "got \"" << e.what() << "\", want " << CodeName(code) << " and \"" << text << '"';
  }
  return ::testing::AssertionFailure()
         << "nothing thrown, want " << CodeName(code) << " and \"" << text << '"';
}

}  // namespace binocle::testing
