#include "binocle/layer_ranges.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

std::string RangeText(const Layers& layers) {
  std::string text = std::to_string(layers.first);
  if (layers.last != layers.first) text += "-" + std::to_string(layers.last);
  return text;
}

std::string RangesText(const std::vector<Layers>& ranges) {
  std::string text;
  for (const Layers& layers : ranges) text += (text.empty() ? "" : ",") + RangeText(layers);
  return text;
}

// "composite_layers is 5-1, expected layers such as 0-3,7,12-15: 5-1 ends before it begins".
[[noreturn]] void RefuseLayers(const std::string& option, std::string_view text,
                               const std::string& why) {
  const std::string found = text.empty() ? "empty" : Printable(text, 60);
  ThrowOption(option.c_str(), "is ", found, ", expected layers such as 0-3,7,12-15",
              why.empty() ? "" : ": ", why);
}

bool ReadLayer(std::string_view text, int64_t& out) {
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && after == text.data() + text.size() && out >= 0;
}

// Ascending, and neighbours as one. `text`: what was given, for errors.
std::vector<Layers> InOrder(std::vector<Layers> ranges, std::string_view text,
                            const std::string& option) {
  if (ranges.empty()) RefuseLayers(option, text, "");
  for (const Layers& layers : ranges) {
    if (layers.first < 0) RefuseLayers(option, text, RangeText(layers) + " is below 0");
    if (layers.last < layers.first)
      RefuseLayers(option, text, RangeText(layers) + " ends before it begins");
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Layers& a, const Layers& b) { return a.first < b.first; });
  std::vector<Layers> joined;
  for (const Layers& layers : ranges) {
    if (joined.empty() || layers.first - 1 > joined.back().last) {
      joined.push_back(layers);
    } else if (layers.first - 1 == joined.back().last) {
      joined.back().last = layers.last;
    } else {
      RefuseLayers(option, text, std::to_string(layers.first) + " is in it twice");
    }
  }
  return joined;
}

}  // namespace

LayerRanges::LayerRanges(std::vector<Layers> ranges, const std::string& option) {
  const std::string text = RangesText(ranges);
  ranges_ = InOrder(std::move(ranges), text, option);
}

LayerRanges LayerRanges::Parse(std::string_view text, const std::string& option) {
  std::vector<Layers> ranges;
  for (std::string_view rest = text; !text.empty();) {
    const size_t comma = rest.find(',');
    const std::string_view piece = rest.substr(0, comma);
    const size_t dash = piece.find('-');
    const std::string_view last = dash == std::string_view::npos ? piece : piece.substr(dash + 1);
    Layers& layers = ranges.emplace_back();
    if (!ReadLayer(piece.substr(0, dash), layers.first) || !ReadLayer(last, layers.last)) {
      RefuseLayers(option, text,
                   piece.empty() ? "nothing stands before or after a comma"
                                 : Printable(piece, 40) + " is neither a layer nor a range");
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  LayerRanges parsed;
  parsed.ranges_ = InOrder(std::move(ranges), text, option);
  return parsed;
}

LayerRanges LayerRanges::Of(const std::vector<int64_t>& layers) {
  std::vector<Layers> ranges;
  for (const int64_t layer : layers) ranges.push_back({layer, layer});
  return ranges.empty() ? LayerRanges() : LayerRanges(std::move(ranges));
}

bool LayerRanges::Contains(int64_t layer) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Layers& layers) {
    return layer >= layers.first && layer <= layers.last;
  });
}

std::string LayerRanges::Text() const { return RangesText(ranges_); }

}  // namespace binocle
