#include "core/weight_kind.h"

#include <array>

namespace binocle {

std::span<const WeightKind> WeightKinds() {
  static constexpr std::array kKinds = {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8,
                                        WeightKind::kInt4, WeightKind::kBlocks};
  return kKinds;
}

std::span<const WeightKind> PackedKinds() { return WeightKinds().subspan(1, 3); }

WeightKind KindsByName::Of(std::string_view name) const {
  const Entry* best = nullptr;
  for (const Entry& entry : entries) {
    if (name.starts_with(entry.prefix) &&
        (best == nullptr || entry.prefix.size() > best->prefix.size()))
      best = &entry;
  }
  return best == nullptr ? WeightKind::kF32 : best->kind;
}

std::string_view WeightKindName(WeightKind kind) {
  switch (kind) {
    case WeightKind::kF32: return "f32";
    case WeightKind::kBf16: return "bf16";
    case WeightKind::kInt8: return "int8";
    case WeightKind::kInt4: return "int4";
    case WeightKind::kBlocks: return "blocks";
  }
  return "?";
}

}  // namespace binocle
