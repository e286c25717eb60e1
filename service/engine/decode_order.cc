#include "service/engine/decode_order.h"

#include <algorithm>
#include <tuple>

namespace binocle {
namespace {

constexpr double kSecondsPerPixel = 1e-6;

bool ComesBefore(const DecodeOrder::Entry& a, const DecodeOrder::Entry& b) {
  const auto turn = [](const DecodeOrder::Entry& e) {
    return e.arrival + kSecondsPerPixel * static_cast<double>(e.pixels);
  };
  return std::tuple(-a.priority, turn(a), a.id) < std::tuple(-b.priority, turn(b), b.id);
}

}  // namespace

void DecodeOrder::Add(const Entry& entry) { waiting_.push_back(entry); }

void DecodeOrder::Remove(int64_t id) {
  std::erase_if(waiting_, [&](const Entry& entry) { return entry.id == id; });
}

// The first of the large ones and the first of the others compete. A large one that may not go holds up those behind it, or it never went.
std::optional<DecodeOrder::Entry> DecodeOrder::Take(int64_t others) {
  if (decoding_ >= limits_.decoders || ahead_bytes_ >= limits_.ahead_bytes) return {};
  auto large = waiting_.end(), next = waiting_.end();
  for (auto entry = waiting_.begin(); entry != waiting_.end(); ++entry) {
    auto& first = IsLarge(*entry) ? large : next;
    if (first == waiting_.end() || ComesBefore(*entry, *first)) first = entry;
  }
  const bool large_may = large != waiting_.end() && MayGo(*large, others);
  if (large_may && (next == waiting_.end() || ComesBefore(*large, *next))) next = large;
  if (next == waiting_.end()) return {};
  const Entry taken = *next;
  waiting_.erase(next);
  ++decoding_;
  if (IsLarge(taken)) {
    ++decoding_large_;
    large_pixels_ += taken.pixels;
  }
  return taken;
}

bool DecodeOrder::MayGo(const Entry& large, int64_t others) const {
  if (decoding_large_ + others == 0) return true;
  if (decoding_large_ + others + 1 >= limits_.decoders) return false;
  return decoding_large_ == 0 || large_pixels_ + large.pixels <= limits_.most_pixels;
}

bool DecodeOrder::LargeWaits() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const Entry& entry) { return IsLarge(entry); });
}

void DecodeOrder::Decoded(const Entry& entry, int64_t bytes) {
  --decoding_;
  if (IsLarge(entry)) {
    --decoding_large_;
    large_pixels_ -= entry.pixels;
  }
  ahead_bytes_ += bytes;
}

void DecodeOrder::Encoded(int64_t bytes) { ahead_bytes_ -= bytes; }

}  // namespace binocle
