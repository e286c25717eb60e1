// Whose pictures are decoded next: an order by itself, without threads or pixels.
//
// By priority, then by arrival, as if a request came a second later for each megapixel: small pictures overtake large ones, and no request
// is overtaken for ever. Requests above two megapixels, which photographs are, leave one decoder free for others. Nothing more is decoded
// while what is decoded and has not yet gone through the towers is above a limit, and no two requests at once that are huge together.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace binocle {

class DecodeOrder {
 public:
  struct Limits {
    int64_t decoders = 3;               // at a time
    int64_t large_pixels = 2'000'000;   // requests of more: one decoder less
    int64_t most_pixels = 128'000'000;  // of large requests at a time, where there is more than one
    int64_t ahead_bytes = int64_t{128} << 20;  // of decoded pictures that wait
  };
  struct Entry {
    int64_t id = 0;
    int64_t priority = 0;
    double arrival = 0;  // seconds
    int64_t pixels = 0;  // of all its pictures
  };

  explicit DecodeOrder(const Limits& limits) : limits_(limits) {}

  void Add(const Entry& entry);
  void Remove(int64_t id);  // one that waits; of others nothing happens
  // The next one, whose decoder is taken until Decoded. `others`: things that take as long as a large picture and are under way elsewhere:
  // with them, too, one decoder stays free.
  std::optional<Entry> Take(int64_t others = 0);
  bool LargeWaits() const;
  // `bytes`: of its pictures, which wait from now on until Encoded.
  void Decoded(const Entry& entry, int64_t bytes);
  void Encoded(int64_t bytes);

 private:
  bool IsLarge(const Entry& entry) const { return entry.pixels > limits_.large_pixels; }
  bool MayGo(const Entry& large, int64_t others) const;

  Limits limits_;
  std::vector<Entry> waiting_;
  int64_t decoding_ = 0, decoding_large_ = 0;
  int64_t large_pixels_ = 0;  // of those decoding_large_
  int64_t ahead_bytes_ = 0;
};

}  // namespace binocle
