#include "service/engine/decode_order.h"

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

std::optional<DecodeOrder::Entry> DecodeOrder::Take() {
  if (decoding_ >= limits_.decoders || ahead_bytes_ >= limits_.ahead_bytes) return {};
  const bool large_too = decoding_large_ + 1 < limits_.decoders || limits_.decoders == 1;
  auto next = waiting_.end();
  for (auto entry = waiting_.begin(); entry != waiting_.end(); ++entry) {
    const bool too_many = decoding_ > 0 && decoding_pixels_ + entry->pixels > limits_.most_pixels;
    if (too_many || (IsLarge(*entry) && !large_too)) continue;
    if (next == waiting_.end() || ComesBefore(*entry, *next)) next = entry;
  }
  if (next == waiting_.end()) return {};
  const Entry taken = *next;
  waiting_.erase(next);
  ++decoding_;
  decoding_large_ += IsLarge(taken) ? 1 : 0;
  decoding_pixels_ += taken.pixels;
  return taken;
}

void DecodeOrder::Decoded(const Entry& entry, int64_t bytes) {
  --decoding_;
  decoding_large_ -= IsLarge(entry) ? 1 : 0;
  decoding_pixels_ -= entry.pixels;
  ahead_bytes_ += bytes;
}

void DecodeOrder::Encoded(int64_t bytes) { ahead_bytes_ -= bytes; }

}  // namespace binocle
