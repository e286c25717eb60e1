#include "vision/image_segments.h"

#include <algorithm>

#include "core/error.h"
#include "vision/byte_order.h"

namespace binocle {
namespace {

constexpr uint8_t kRestart0 = 0xD0;
constexpr uint8_t kRestart7 = 0xD7;

}  // namespace

void JpegSegments::FailTruncated() const {
  ThrowInvalid(where_, ": truncated JPEG: the file ends after ", bytes_.size(),
               " bytes without an end-of-image marker");
}

// Inside a scan, FF 00 is a data byte, FF FF is fill and FF D0 to FF D7 restart the decoder; any other marker ends the
// scan.
void JpegSegments::SkipScan() {
  while (true) {
    at_ = bytes_.find('\xFF', at_);
    if (at_ == std::string_view::npos || at_ + 1 >= bytes_.size()) FailTruncated();
    const uint32_t next = ByteAt(bytes_, at_ + 1);
    if (next == 0xFF) {
      at_ += 1;
    } else if (next == 0 || (next >= kRestart0 && next <= kRestart7)) {
      at_ += 2;
    } else {
      return;
    }
  }
}

bool JpegSegments::Next() {
  if (marker_ == kStartOfScan) SkipScan();
  if (at_ >= bytes_.size()) FailTruncated();
  if (ByteAt(bytes_, at_) != 0xFF) {
    ThrowInvalid(where_, ": corrupt JPEG: byte ", at_, " is ", ByteAt(bytes_, at_),
                 ", expected a marker (255)");
  }
  while (at_ < bytes_.size() && ByteAt(bytes_, at_) == 0xFF) ++at_;
  if (at_ >= bytes_.size()) FailTruncated();
  marker_ = static_cast<uint8_t>(ByteAt(bytes_, at_++));
  payload_ = {};
  if (marker_ == kEndOfImage) return false;
  if (marker_ == 0x01 || (marker_ >= kRestart0 && marker_ <= kRestart7))
    return true;  // these have no payload
  if (marker_ < 0xC0 || marker_ == 0xD8) {
    ThrowInvalid(where_, ": corrupt JPEG: unexpected marker ", int{marker_}, " at byte ", at_ - 1);
  }
  if (bytes_.size() - at_ < 2) FailTruncated();
  const size_t length = BigEndian16(bytes_, at_);
  if (length < 2)
    ThrowInvalid(where_, ": corrupt JPEG: a segment of length ", length, " at byte ", at_);
  if (bytes_.size() - at_ < length) FailTruncated();
  payload_ = bytes_.substr(at_ + 2, length - 2);
  at_ += length;
  return true;
}

bool PngChunks::Next() {
  if (type_ == "IEND") return false;
  const auto fail_truncated = [&] {
    ThrowInvalid(where_, ": truncated PNG: the file ends after ", bytes_.size(),
                 " bytes without an IEND chunk");
  };
  if (bytes_.size() - at_ < 12) fail_truncated();
  const size_t length = BigEndian32(bytes_, at_);
  type_ = bytes_.substr(at_ + 4, 4);
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (!std::all_of(type_.begin(), type_.end(), is_letter)) {
    ThrowInvalid(where_, ": corrupt PNG: chunk name \"", Printable(type_), "\" at byte ", at_ + 4);
  }
  if (bytes_.size() - at_ - 12 < length) fail_truncated();
  payload_ = bytes_.substr(at_ + 8, length);
  crc_ = BigEndian32(bytes_, at_ + 8 + length);
  at_ += 12 + length;
  return true;
}

bool WebpChunks::Next() {
  // The container's length counts from byte 8. Bytes after it are not part of the picture.
  const size_t end = size_t{LittleEndian32(bytes_, 4)} + 8;
  if (bytes_.size() < end) {
    ThrowInvalid(where_, ": truncated WebP: the file has ", bytes_.size(),
                 " bytes, its header says ", end);
  }
  if (at_ + 8 > end) return false;
  type_ = bytes_.substr(at_, 4);
  const size_t length = LittleEndian32(bytes_, at_ + 4);
  at_ += 8;
  if (end - at_ < length) {
    ThrowInvalid(where_, ": corrupt WebP: chunk \"", Printable(type_), "\" of ", length,
                 " bytes where ", end - at_, " are left");
  }
  payload_ = bytes_.substr(at_, length);
  at_ += length + length % 2;  // chunks are padded to an even length
  return true;
}

}  // namespace binocle
