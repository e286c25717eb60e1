#include "vision/image_header.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "vision/byte_order.h"
#include "vision/image_segments.h"

namespace binocle {
namespace {

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr int kMaxJpegScans = 64;

bool HasAt(std::string_view bytes, size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() && bytes.substr(at, text.size()) == text;
}

// What the file is instead, for people who renamed something to .jpg.
std::string OtherKind(std::string_view bytes) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kKinds = {{
      {"%PDF", "a PDF document"},
      {"GIF8", "a GIF picture"},
      {"BM", "a BMP picture"},
      {"II*", "a TIFF picture"},
      {{"MM\0*", 4}, "a TIFF picture"},
      {"PK\3\4", "a ZIP archive"},
      {"\x1f\x8b", "gzip data"},
      {"8BPS", "a Photoshop file"},
      {"\177ELF", "an executable"},
      {"qoif", "a QOI picture"},
      {"<svg", "an SVG drawing"},
      {"\xff\x0a", "a JPEG XL picture"},
      {"RIFF", "a RIFF file but no WebP"},
      {"<", "markup (HTML, XML or SVG)"},
      {"GGUF", "a GGUF model"},
  }};
  if (HasAt(bytes, 4, "ftypavif")) return "an AVIF picture";
  if (HasAt(bytes, 4, "ftyphei") || HasAt(bytes, 4, "ftypmif1")) return "a HEIC picture";
  if (HasAt(bytes, 4, "ftyp")) return "an MP4 or QuickTime file";
  for (const auto& [magic, kind] : kKinds) {
    if (HasAt(bytes, 0, magic)) return std::string(kind);
  }
  const std::string_view front = bytes.substr(0, 16);
  const auto is_text = [](unsigned char c) {
    return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\r' || c == '\t';
  };
  if (std::all_of(front.begin(), front.end(), is_text))
    return "text (\"" + Printable(front) + "\")";
  std::string hex;
  for (const unsigned char c : front.substr(0, 8)) {
    char digits[4];
    std::snprintf(digits, sizeof digits, " %02x", unsigned{c});
    hex += digits;
  }
  return "of an unknown kind (begins with" + hex + ")";
}

ImageFormat Sniff(std::string_view bytes, const std::string& where) {
  if (bytes.empty()) ThrowInvalid(where, ": is empty, expected a JPEG, PNG or WebP picture");
  // A file shorter than its own signature is cut off, not of an unknown kind.
  if (HasAt(bytes, 0, "\xff\xd8\xff") || bytes == "\xff\xd8" || bytes == "\xff")
    return ImageFormat::kJpeg;
  if (HasAt(bytes, 0, kPngSignature) || kPngSignature.substr(0, bytes.size()) == bytes)
    return ImageFormat::kPng;
  if (HasAt(bytes, 0, "RIFF") && HasAt(bytes, 8, "WEBP")) return ImageFormat::kWebp;
  if (bytes.size() < 12 && std::string_view("RIFF").substr(0, bytes.size()) == bytes.substr(0, 4)) {
    return ImageFormat::kWebp;
  }
  ThrowInvalid(where, ": is ", OtherKind(bytes), ", expected a JPEG, PNG or WebP picture");
}

// Start-of-frame markers are C0 to CF without DHT (C4), JPG (C8) and DAC (CC).
bool IsStartOfFrame(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// SOF payload: precision (1 byte), height (2), width (2), components (1), then 3 bytes a component.
void ReadJpegFrame(const JpegSegments& segments, ImageHeader& header, const std::string& where) {
  const std::string_view frame = segments.payload();
  if (frame.size() < 6 || frame.size() < 6 + 3 * ByteAt(frame, 5)) {
    ThrowInvalid(where, ": corrupt JPEG: the frame header has ", frame.size(), " bytes");
  }
  // Baseline, extended and progressive, Huffman (C0 to C2) or arithmetic (C9, CA); the rest is lossless or
  // hierarchical.
  const uint8_t marker = segments.marker();
  if (marker > 0xC2 && marker != 0xC9 && marker != 0xCA) {
    Throw(Code::kUnimplemented, where, ": is a lossless or hierarchical JPEG (frame type ",
          marker - 0xC0, "), expected a baseline or progressive one");
  }
  if (ByteAt(frame, 0) != 8) {
    Throw(Code::kUnimplemented, where, ": is a JPEG of ", ByteAt(frame, 0),
          " bits a sample, expected 8");
  }
  const uint32_t components = ByteAt(frame, 5);
  if (components != 1 && components != 3 && components != 4) {
    ThrowInvalid(where, ": corrupt JPEG: ", components, " components, expected 1, 3 or 4");
  }
  header.height = BigEndian16(frame, 1);
  header.width = BigEndian16(frame, 3);
}

void ReadJpegHeader(std::string_view bytes, ImageHeader& header, const std::string& where) {
  JpegSegments segments(bytes, where);
  while (segments.Next()) {
    if (IsStartOfFrame(segments.marker())) return ReadJpegFrame(segments, header, where);
    if (segments.marker() == JpegSegments::kStartOfScan) break;
  }
  ThrowInvalid(where, ": corrupt JPEG: no frame header before the picture data");
}

// IHDR is the first chunk and 13 bytes long: width (4), height (4), depth, colour type, compression, filter, interlace.
void ReadPngHeader(std::string_view bytes, ImageHeader& header, const std::string& where) {
  constexpr size_t kIhdrAt = 16;
  if (bytes.size() < kIhdrAt + 13)
    ThrowInvalid(where, ": truncated PNG: ", bytes.size(), " bytes hold no header");
  if (!HasAt(bytes, 12, "IHDR") || BigEndian32(bytes, 8) != 13)
    ThrowInvalid(where, ": corrupt PNG: no IHDR chunk first");
  const std::string_view ihdr = bytes.substr(kIhdrAt, 13);
  header.width = BigEndian32(ihdr, 0);
  header.height = BigEndian32(ihdr, 4);
  // One bit for each legal depth 1, 2, 4, 8, 16 of colour types 0 to 6 (1 and 5 do not exist).
  constexpr std::array<uint32_t, 7> kDepths = {
      1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16};
  const uint32_t depth = ByteAt(ihdr, 8);
  const uint32_t colour = ByteAt(ihdr, 9);
  const bool legal =
      colour < kDepths.size() && (depth & (depth - 1)) == 0 && (depth & kDepths[colour]) != 0;
  if (!legal || ByteAt(ihdr, 10) != 0 || ByteAt(ihdr, 11) != 0 || ByteAt(ihdr, 12) > 1) {
    ThrowInvalid(where, ": corrupt PNG: IHDR says depth ", depth, ", colour type ", colour,
                 ", compression ", ByteAt(ihdr, 10), ", filter ", ByteAt(ihdr, 11), ", interlace ",
                 ByteAt(ihdr, 12));
  }
}

// VP8X: flags (1 byte), 3 reserved, width − 1 (3), height − 1 (3).  VP8L: signature 2F, then 14 bits width − 1, 14
// height − 1. "VP8 ": frame tag (3 bytes), start code 9D 01 2A, 14 bits width, 2 scale, 14 height, 2 scale.
void ReadWebpHeader(std::string_view bytes, ImageHeader& header, const std::string& where) {
  constexpr size_t kPayloadAt = 20;
  if (bytes.size() < kPayloadAt + 10)
    ThrowInvalid(where, ": truncated WebP: ", bytes.size(), " bytes hold no header");
  const std::string_view type = bytes.substr(12, 4);
  const std::string_view payload = bytes.substr(kPayloadAt);
  if (type == "VP8X") {
    constexpr uint32_t kAnimated = 0x02;
    if ((ByteAt(payload, 0) & kAnimated) != 0) {
      Throw(Code::kUnimplemented, where, ": is an animated WebP, expected a still picture");
    }
    header.width = LittleEndian24(payload, 4) + 1;
    header.height = LittleEndian24(payload, 7) + 1;
  } else if (type == "VP8L" && ByteAt(payload, 0) == 0x2F) {
    const uint32_t sizes = LittleEndian32(payload, 1);
    header.width = (sizes & 0x3FFF) + 1;
    header.height = (sizes >> 14 & 0x3FFF) + 1;
  } else if (type == "VP8 " && HasAt(payload, 3, "\x9d\x01\x2a")) {
    header.width = LittleEndian16(payload, 6) & 0x3FFF;
    header.height = LittleEndian16(payload, 8) & 0x3FFF;
  } else {
    ThrowInvalid(where, ": corrupt WebP: its first chunk \"", Printable(type),
                 "\" is no picture header");
  }
}

}  // namespace

std::string_view ImageFormatName(ImageFormat format) {
  constexpr std::array<std::string_view, 3> kNames = {"JPEG", "PNG", "WebP"};
  return kNames[static_cast<size_t>(format)];
}

ImageHeader ParseImageHeader(std::string_view bytes, const std::string& where) {
  ImageHeader header{.format = Sniff(bytes, where)};
  switch (header.format) {
    case ImageFormat::kJpeg: ReadJpegHeader(bytes, header, where); break;
    case ImageFormat::kPng: ReadPngHeader(bytes, header, where); break;
    case ImageFormat::kWebp: ReadWebpHeader(bytes, header, where); break;
  }
  if (header.width == 0 || header.height == 0) {
    ThrowInvalid(where, ": is a ", ImageFormatName(header.format), " of ", header.width, " x ",
                 header.height, " pixels, expected at least 1 x 1");
  }
  return header;
}

void CheckImageStructure(std::string_view bytes, ImageFormat format, const std::string& where) {
  if (format == ImageFormat::kJpeg) {
    int scans = 0;
    for (JpegSegments segments(bytes, where); segments.Next();) {
      scans += segments.marker() == JpegSegments::kStartOfScan;
      if (scans > kMaxJpegScans)
        ThrowInvalid(where, ": JPEG of more than ", kMaxJpegScans, " scans");
    }
    if (scans == 0) ThrowInvalid(where, ": corrupt JPEG: it has no picture data");
  } else if (format == ImageFormat::kPng) {
    bool has_data = false;
    for (PngChunks chunks(bytes, where); chunks.Next();) has_data |= chunks.type() == "IDAT";
    if (!has_data) ThrowInvalid(where, ": corrupt PNG: it has no picture data");
  } else {
    bool has_data = false;
    for (WebpChunks chunks(bytes, where); chunks.Next();)
      has_data |= chunks.type() == "VP8 " || chunks.type() == "VP8L";
    if (!has_data) ThrowInvalid(where, ": corrupt WebP: it has no picture data");
  }
}

}  // namespace binocle
