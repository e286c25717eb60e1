#include "llm/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "llm/utf8.h"

namespace binocle {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  if (stops_.size() > kMaxStops)
    ThrowOption("stop", "is given ", stops_.size(), " times, expected at most ", kMaxStops);
  for (const std::string& stop : stops_) {
    if (stop.empty()) ThrowOption("stop", "is empty, expected at least one character");
    if (stop.size() > kMaxStopBytes) {
      ThrowOption("stop", "is a text of ", stop.size(), " bytes, expected at most ", kMaxStopBytes);
    }
    // Stop strings of whole characters cut only between characters.
    if (!IsUtf8(stop)) ThrowOption("stop", "is ", Printable(stop, 60), ", expected UTF-8");
  }
}

std::string StopMatcher::Push(std::string_view delta) {
  if (stopped()) return {};
  pending_ += delta;
  size_t first_begin = 0;
  size_t first_end = std::string::npos;
  for (size_t i = 0; i < stops_.size(); ++i) {
    const size_t begin = pending_.find(stops_[i]);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stops_[i].size();
    if (end < first_end || (end == first_end && begin < first_begin)) {
      first_begin = begin;
      first_end = end;
      match_ = i;
    }
  }
  const size_t certain = stopped() ? first_begin : pending_.size() - HeldBytes();
  std::string out = pending_.substr(0, certain);
  if (stopped()) {
    pending_.clear();
  } else {
    pending_.erase(0, certain);
  }
  return out;
}

std::string StopMatcher::Finish() { return std::exchange(pending_, {}); }

// Length of the longest end of pending_ that a stop string begins with.
size_t StopMatcher::HeldBytes() const {
  size_t held = 0;
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, pending_.size()); length > held; --length) {
      if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, length)))
        held = length;
    }
  }
  return held;
}

}  // namespace binocle
