// A decoded picture: eight bits a channel, red, green, blue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace binocle {

// rgb holds [height, width, 3] row-major, without padding between rows.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> rgb;

  Image() = default;
  // A black picture.
  Image(int64_t width, int64_t height)
      : width(width), height(height), rgb(static_cast<size_t>(width * height * 3)) {}

  uint8_t* row(int64_t y) { return rgb.data() + y * width * 3; }
  const uint8_t* row(int64_t y) const { return rgb.data() + y * width * 3; }
  bool operator==(const Image&) const = default;
};

// A rectangle of pixels; `left` and `top` may be negative where the user of the rectangle says so.
struct Region {
  int64_t left = 0;
  int64_t top = 0;
  int64_t width = 0;
  int64_t height = 0;
};

}  // namespace binocle
