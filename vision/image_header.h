// What a picture file says about itself, read from its bytes without decoding a pixel.
//
// These parsers see bytes from strangers. They allocate nothing that depends on a number in the file, read each byte a
// bounded number of times, and end in a value or in a binocle::Error that begins with `where`. References: ITU-T T.81
// annex B (JPEG), the W3C PNG specification, RFC 9649 (WebP), CIPA DC-008 (EXIF).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace binocle {

enum class ImageFormat : uint8_t { kJpeg, kPng, kWebp };

std::string_view ImageFormatName(ImageFormat format);

struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  int64_t width = 0;  // as stored, before EXIF orientation
  int64_t height = 0;
};

// The format by its first bytes (never by a file name) and the dimensions. Reads no further than they stand, so that
// limits can be checked on a file whose rest is missing.
//   INVALID_ARGUMENT  empty; another kind of file, which is named ("is a PDF document"); cut off; malformed; a side of
//   0 UNIMPLEMENTED     JPEG that is lossless, hierarchical or not 8 bits a sample; animated WebP
ImageHeader ParseImageHeader(std::string_view bytes, const std::string& where);

// Walks the whole file. Decoders fill missing data with grey and say nothing, so a file that ends early is refused
// here:
//   INVALID_ARGUMENT  no JPEG end marker or PNG IEND chunk, less than a WebP header says; malformed chunks; a JPEG of
//                     more than 64 scans (each can cost a pass over the picture and only a few bytes)
void CheckImageStructure(std::string_view bytes, ImageFormat format, const std::string& where);

// The EXIF orientation, 1 to 8 (1 = upright), from JPEG APP1, PNG eXIf or WebP EXIF; 1 when there is none or it is
// malformed, as in Pillow. XMP is not read. The file has passed CheckImageStructure.
int ExifOrientation(std::string_view bytes, ImageFormat format);

}  // namespace binocle
