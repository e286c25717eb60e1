// Some layers of a model, as --composite-layers and its kin name them: "0-3,7,12-15".
//
//   const auto layers = binocle::LayerRanges::Parse("7,0-3");
//   layers.Text();        // "0-3,7"
//   layers.Contains(2);   // true
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/export.h"
#include "binocle/interventions.h"

namespace binocle {

// Kept ascending, with neighbours joined, so that the same layers are equal and read the same however they were given: Parse(x.Text()) is x
// unless x is empty. How many layers a model has is for whoever uses them to check.
class BINOCLE_EXPORT LayerRanges {
 public:
  LayerRanges() = default;  // no layer
  // In any order. INVALID_ARGUMENT for none, for one below 0 or that ends before it begins, and for two that share a layer; the message
  // begins with `option`, which Error::option() names.
  explicit LayerRanges(std::vector<Layers> ranges, const std::string& option = "layers");

  // 0-based numbers and ranges, both ends among them, with commas between. INVALID_ARGUMENT as above, and for what is neither.
  static LayerRanges Parse(std::string_view text, const std::string& option = "layers");
  // These layers, in any order, each at most once; none is no layer.
  static LayerRanges Of(const std::vector<int64_t>& layers);

  bool empty() const { return ranges_.empty(); }
  bool Contains(int64_t layer) const;
  int64_t last() const { return ranges_.empty() ? -1 : ranges_.back().last; }
  const std::vector<Layers>& ranges() const { return ranges_; }
  // As Parse reads it; "" for no layer.
  std::string Text() const;

  bool operator==(const LayerRanges&) const = default;

 private:
  std::vector<Layers> ranges_;
};

}  // namespace binocle
