#include "service/http/body_decoder.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <new>

namespace binocle::http {
namespace {

constexpr int kGzipOnly = 16;  // added to the window's bits
constexpr size_t kPieceBytes = 16 << 10;

class PlainDecoder final : public BodyDecoder {
 public:
  bool Accept(std::string_view bytes, const TakeBytes& take) override { return take(bytes); }
  bool broken() const override { return false; }
  std::string Fault() const override { return {}; }
};

// Members one after the other, each with its own checksum and length (RFC 1952, 2.2).
class GzipDecoder final : public BodyDecoder {
 public:
  GzipDecoder() {
    if (inflateInit2(&zip_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~GzipDecoder() override { inflateEnd(&zip_); }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  bool Accept(std::string_view bytes, const TakeBytes& take) override {
    zip_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    zip_.avail_in = static_cast<uInt>(bytes.size());
    bool more = zip_.avail_in > 0;
    while (more) {
      if (whole_) inflateReset(&zip_);
      whole_ = false;
      char piece[kPieceBytes];
      zip_.next_out = reinterpret_cast<Bytef*>(piece);
      zip_.avail_out = sizeof piece;
      const int result = inflate(&zip_, Z_NO_FLUSH);
      broken_ = result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR;
      whole_ = result == Z_STREAM_END;
      if (broken_ || !take({piece, sizeof piece - zip_.avail_out})) return false;
      more = zip_.avail_in > 0 || (!whole_ && zip_.avail_out == 0);
    }
    return true;
  }

  bool broken() const override { return broken_; }
  std::string Fault() const override {
    if (broken_)
      return "is no gzip, or is damaged: it or its checksum is not what Content-Encoding says";
    return whole_ ? "" : "ends before the gzip in it does";
  }

 private:
  z_stream zip_{};
  bool whole_ = false;  // what has come ends a member
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<BodyDecoder> MakeBodyDecoder(std::string_view encoding) {
  std::string name(encoding);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.empty() || name == "identity") return std::make_unique<PlainDecoder>();
  if (name == "gzip" || name == "x-gzip") return std::make_unique<GzipDecoder>();
  return nullptr;
}

}  // namespace binocle::http
