// Numbers and lists of numbers as options spell them.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>
#include <vector>

#include "binocle/interventions.h"

namespace binocle::cli {

// The whole text is one number.
template <typename Number>
bool ReadNumber(std::string_view text, Number& out) {
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && after == text.data() + text.size();
}

// "2-30", or "5" for one layer.
inline bool ReadLayers(std::string_view text, Layers& out) {
  const size_t dash = text.find('-');
  const std::string_view last = dash == std::string_view::npos ? text : text.substr(dash + 1);
  return ReadNumber(text.substr(0, dash), out.first) && ReadNumber(last, out.last);
}

// "1415+2533"
inline bool ReadIntegers(std::string_view text, std::vector<int64_t>& out) {
  while (true) {
    const size_t plus = text.find('+');
    if (!ReadNumber(text.substr(0, plus), out.emplace_back())) return false;
    if (plus == std::string_view::npos) return true;
    text.remove_prefix(plus + 1);
  }
}

}  // namespace binocle::cli
