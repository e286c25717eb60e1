#include "vision/png_rebuild.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/error.h"
#include "vision/byte_order.h"
#include "vision/image_segments.h"

namespace binocle {
namespace {

constexpr uint32_t kGrey = 0;
constexpr uint32_t kRgb = 2;
constexpr uint32_t kPalette = 3;
constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";

struct PngLayout {
  int64_t width = 0;
  int64_t height = 0;
  uint32_t depth = 0;
  uint32_t colour = 0;
  bool interlaced = false;
};

PngLayout ReadLayout(std::string_view ihdr) {
  return {.width = BigEndian32(ihdr, 0),
          .height = BigEndian32(ihdr, 4),
          .depth = ByteAt(ihdr, 8),
          .colour = ByteAt(ihdr, 9),
          .interlaced = ByteAt(ihdr, 12) == 1};
}

// Rows of equal length that follow each other in the unpacked data; each begins with its filter byte.
struct RowRun {
  int64_t rows = 0;
  int64_t row_bytes = 0;
};

// One run, or the seven passes of Adam7 (those without pixels are absent).
std::vector<RowRun> RowRuns(const PngLayout& png) {
  constexpr std::array<int, 7> kChannels = {1, 0, 3, 1, 2, 0, 4};
  const int64_t bits = int64_t{png.depth} * kChannels[png.colour];
  const auto run = [&](int64_t width, int64_t height) {
    return RowRun{height, 1 + (width * bits + 7) / 8};
  };
  if (!png.interlaced) return {run(png.width, png.height)};
  struct Pass {
    int64_t x, y, dx, dy;
  };
  constexpr std::array<Pass, 7> kAdam7 = {{{0, 0, 8, 8},
                                           {4, 0, 8, 8},
                                           {0, 4, 4, 8},
                                           {2, 0, 4, 4},
                                           {0, 2, 2, 4},
                                           {1, 0, 2, 2},
                                           {0, 1, 1, 2}}};
  std::vector<RowRun> runs;
  for (const Pass& pass : kAdam7) {
    const int64_t width = (png.width - pass.x + pass.dx - 1) / pass.dx;
    const int64_t height = (png.height - pass.y + pass.dy - 1) / pass.dy;
    if (width > 0 && height > 0) runs.push_back(run(width, height));
  }
  return runs;
}

// Takes the unpacked data in pieces, checks the filter byte of each row and counts.
class RowChecker {
 public:
  RowChecker(std::vector<RowRun> runs, const std::string& where)
      : runs_(std::move(runs)), where_(where) {}

  void Take(const uint8_t* data, size_t size) {
    size_t at = 0;
    while (at < size) {
      if (run_ == runs_.size())
        ThrowInvalid(where_, ": corrupt PNG: more picture data than its dimensions say");
      if (column_ == 0 && data[at] > 4)
        ThrowInvalid(where_, ": corrupt PNG: row filter ", int{data[at]}, ", expected 0 to 4");
      const int64_t step =
          std::min(static_cast<int64_t>(size - at), runs_[run_].row_bytes - column_);
      at += static_cast<size_t>(step);
      column_ += step;
      if (column_ < runs_[run_].row_bytes) continue;
      column_ = 0;
      if (++row_ < runs_[run_].rows) continue;
      row_ = 0;
      ++run_;
    }
  }

  bool complete() const { return run_ == runs_.size(); }

 private:
  std::vector<RowRun> runs_;
  const std::string& where_;
  size_t run_ = 0;
  int64_t row_ = 0;
  int64_t column_ = 0;
};

// Ends the zlib stream on every way out.
struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit(&stream) != Z_OK) Throw(Code::kResourceExhausted, "zlib: not enough memory");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

void CheckPictureData(std::string_view packed, const PngLayout& png, const std::string& where) {
  RowChecker rows(RowRuns(png), where);
  Inflater inflater;
  z_stream& z = inflater.stream;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());  // DecodeOptions::max_bytes is below 2^32
  std::vector<uint8_t> window(64 << 10);
  int status = Z_OK;
  while (status == Z_OK) {
    z.next_out = window.data();
    z.avail_out = static_cast<uInt>(window.size());
    status = inflate(&z, Z_NO_FLUSH);
    rows.Take(window.data(), window.size() - z.avail_out);
  }
  // Z_BUF_ERROR: the input ended inside the stream.
  if (status == Z_BUF_ERROR || (status == Z_STREAM_END && !rows.complete())) {
    ThrowInvalid(where, ": truncated PNG: less picture data than its dimensions (", png.width,
                 " x ", png.height, ") need");
  }
  if (status != Z_STREAM_END)
    ThrowInvalid(where, ": corrupt PNG: ", z.msg != nullptr ? z.msg : "bad picture data");
}

uint32_t Crc(std::string_view type, std::string_view payload) {
  const auto update = [](uLong crc, std::string_view bytes) {
    if (bytes.empty()) return crc;  // zlib takes a null pointer for "start afresh"
    return crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()),
                 static_cast<uInt>(bytes.size()));
  };
  return static_cast<uint32_t>(update(update(0, type), payload));
}

void AppendBigEndian(uint32_t value, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

void AppendChunk(std::string_view type, std::string_view payload, std::string& out) {
  AppendBigEndian(static_cast<uint32_t>(payload.size()), out);
  out += type;
  out += payload;
  AppendBigEndian(Crc(type, payload), out);
}

// The chunks that matter, gathered in one pass.
struct PngParts {
  std::string_view ihdr;
  std::string palette;
  std::optional<std::string_view> transparency;  // the first one before the picture data
  std::string data;                              // all IDAT payloads
};

PngParts Gather(std::string_view png, const std::string& where) {
  PngParts parts;
  for (PngChunks chunks(png, where); chunks.Next();) {
    const std::string_view type = chunks.type();
    if (!chunks.critical() && type != "tRNS") continue;
    if (Crc(type, chunks.payload()) != chunks.crc()) {
      ThrowInvalid(where, ": corrupt PNG: wrong checksum of chunk ", type);
    }
    if (type == "IHDR") {
      if (!parts.ihdr.empty()) ThrowInvalid(where, ": corrupt PNG: two IHDR chunks");
      parts.ihdr = chunks.payload();
    } else if (type == "PLTE") {
      if (parts.palette.empty()) parts.palette = chunks.payload();
    } else if (type == "IDAT") {
      parts.data += chunks.payload();
    } else if (type == "tRNS") {
      if (!parts.transparency && parts.data.empty()) parts.transparency = chunks.payload();
    } else if (type != "IEND") {
      ThrowInvalid(where, ": corrupt PNG: unknown critical chunk ", type);
    }
  }
  return parts;
}

// tRNS holds one 16-bit sample a channel for grey and RGB, up to one byte an entry for palettes; alpha types have none.
// Pillow and libpng both ignore a malformed one.
bool WellFormed(std::string_view transparency, const PngLayout& layout, size_t palette_entries) {
  if (layout.colour == kPalette)
    return !transparency.empty() && transparency.size() <= palette_entries;
  return transparency.size() == (layout.colour == kGrey  ? 2u
                                 : layout.colour == kRgb ? 6u
                                                         : 0u) &&
         !transparency.empty();
}

// Samples below 8 bits are stretched to 0 to 255.
uint32_t DecodedGrey(uint32_t sample, uint32_t depth) {
  const uint32_t top = (1U << depth) - 1;
  return depth < 8 ? (sample & top) * 255 / top : sample & top;
}

}  // namespace

RebuiltPng RebuildPng(std::string_view png, const std::string& where) {
  PngParts parts = Gather(png, where);
  const PngLayout layout = ReadLayout(parts.ihdr);
  CheckPictureData(parts.data, layout, where);
  RebuiltPng rebuilt{.bytes = std::string(kSignature), .transparent_grey = {}};
  std::string& out = rebuilt.bytes;
  AppendChunk("IHDR", parts.ihdr, out);
  if (layout.colour == kPalette) {
    if (parts.palette.size() < 3 || parts.palette.size() % 3 != 0) {
      ThrowInvalid(where, ": corrupt PNG: a palette of ", parts.palette.size(),
                   " bytes, expected a multiple of 3");
    }
    // An index past the palette is then black instead of a warning.
    parts.palette.resize(size_t{3} << layout.depth);
    AppendChunk("PLTE", parts.palette, out);
  }
  if (parts.transparency && WellFormed(*parts.transparency, layout, parts.palette.size() / 3)) {
    AppendChunk("tRNS", *parts.transparency, out);
    if (layout.colour == kGrey)
      rebuilt.transparent_grey = DecodedGrey(BigEndian16(*parts.transparency, 0), layout.depth);
  }
  AppendChunk("IDAT", parts.data, out);
  AppendChunk("IEND", {}, out);
  return rebuilt;
}

}  // namespace binocle
