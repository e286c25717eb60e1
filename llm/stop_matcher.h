// Ends a text at the first stop string, in a stream.
//
// A match is the stop string that is complete first; of two that end at the same byte, the longer. So what is cut does
// not depend on how the text was split. Text that may still turn into a stop string is held back until that is decided.
//
//   StopMatcher stops({"</s>", "\n"});
//   while (!stops.stopped() && decoder has more) out << stops.Push(delta);
//   out << stops.Finish();
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binocle {

class StopMatcher {
 public:
  static constexpr size_t kMaxStops = 80;  // 64 of a request, and those of a template
  static constexpr size_t kMaxStopBytes = 1024;

  // Throws INVALID_ARGUMENT for an empty stop string, one that is no UTF-8 or too long, and for too many of them.
  explicit StopMatcher(std::vector<std::string> stops);

  // The part of the text that is certain to come before any stop string. Nothing once stopped.
  std::string Push(std::string_view delta);
  // The text ends here: what was held back.
  std::string Finish();

  bool stopped() const { return match_.has_value(); }
  // Index of the stop string that matched.
  std::optional<size_t> match() const { return match_; }

 private:
  size_t HeldBytes() const;

  std::vector<std::string> stops_;
  std::string pending_;  // shorter than the longest stop string between calls
  std::optional<size_t> match_;
};

}  // namespace binocle
