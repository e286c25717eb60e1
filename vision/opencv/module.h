// What the module offers: OpenCV's imgcodecs behind C functions.
//
// A distribution's imgcodecs brings GDAL and 130 libraries more, and to load them takes four times as long as all else that Binocle does before
// it answers. So the module is loaded with the first picture. Nothing is thrown across, and memory is given back where it was taken.
#pragma once

#include <cstddef>
#include <cstdint>

namespace binocle {

struct OpencvModule {
  enum Outcome : int32_t { kDone, kWrong, kNoMemory };
  // What is wrong; ends with NUL, cut where it is longer.
  using Problem = char[1000];

  // Grey, BGR or BGRA samples as stored: no orientation applied, alpha and 16 bits kept.
  struct Picture {
    int32_t width;
    int32_t height;
    int32_t channels;
    int32_t bits;  // of a sample, 8 or 16; 0 where it is of another type, which `problem` names
    const void* rows;
    size_t row_bytes;
    void* owner;
  };
  // JPEG, PNG or WebP. kWrong, with or without words, for bytes that it cannot decode; a picture that is kDone is released by the caller.
  Outcome (*decode)(const char* bytes, size_t size, Picture& picture, Problem& problem);
  void (*release_picture)(void* owner);

  struct Bytes {
    const char* data;
    size_t size;
    void* owner;
  };
  // A PNG of RGB rows [height][width][3].
  Outcome (*encode_png)(const uint8_t* rgb, int32_t width, int32_t height, Bytes& png,
                        Problem& problem);
  void (*release_bytes)(void* owner);
};

// The module's one symbol, an OpencvModule; its name changes with the struct.
inline constexpr const char* kOpencvModuleSymbol = "binocle_opencv_1";

}  // namespace binocle
