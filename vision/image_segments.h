// The containers of the three picture formats as sequences of (name, payload). Shared by the header, structure and EXIF
// readers.
//
// Each reader is a cursor: Next() returns false at the regular end and throws INVALID_ARGUMENT where the file is cut
// off or malformed. Payloads borrow from the file's bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace binocle {

// JPEG: marker segments in file order. Entropy-coded data after a scan header is skipped, restart markers included.
class JpegSegments {
 public:
  static constexpr uint8_t kStartOfScan = 0xDA;
  static constexpr uint8_t kEndOfImage = 0xD9;
  static constexpr uint8_t kApp1 = 0xE1;

  JpegSegments(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  bool Next();  // false at the end-of-image marker
  uint8_t marker() const { return marker_; }
  std::string_view payload() const { return payload_; }

 private:
  [[noreturn]] void FailTruncated() const;
  void SkipScan();

  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 2;  // after the start-of-image marker
  uint8_t marker_ = 0;
  std::string_view payload_;
};

// PNG: chunks in file order. Checks lengths and names, not CRCs.
class PngChunks {
 public:
  PngChunks(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  bool Next();  // false after IEND
  std::string_view type() const { return type_; }
  std::string_view payload() const { return payload_; }
  uint32_t crc() const { return crc_; }
  // Decoders must understand a critical chunk; the others may be skipped.
  bool critical() const { return (type_[0] & 0x20) == 0; }

 private:
  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 8;  // after the signature
  std::string_view type_;
  std::string_view payload_;
  uint32_t crc_ = 0;
};

// WebP: the chunks inside the RIFF container.
class WebpChunks {
 public:
  WebpChunks(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  bool Next();  // false at the end of the container
  std::string_view type() const { return type_; }
  std::string_view payload() const { return payload_; }

 private:
  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 12;  // after "RIFF", the length and "WEBP"
  std::string_view type_;
  std::string_view payload_;
};

}  // namespace binocle
