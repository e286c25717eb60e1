// Names and sizes of packed matrices in files.
#include "core/error.h"
#include "core/weights.h"

namespace binocle {
namespace {

constexpr std::string_view kPackedPrefix = "packed.";

}  // namespace

std::string PackedName(std::string_view asked, WeightKind kind) {
  return internal::Concat(kPackedPrefix, asked, ".", WeightKindName(kind));
}

std::string PackedShapeName(std::string_view asked, WeightKind kind) {
  return internal::Concat("packed_shape.", asked, ".", WeightKindName(kind));
}

int64_t PackedBytes(int64_t n, int64_t k, Bias bias, WeightKind kind) {
  const int64_t panels = (n + kPanelWidth - 1) / kPanelWidth;
  return CompactBytes(n, k, kind) + (bias == Bias::kPresent ? panels * kPanelWidth * 4 : 0);
}

bool IsPackedUnder(std::string_view name, std::string_view asked_prefix) {
  return name.starts_with(kPackedPrefix) &&
         name.substr(kPackedPrefix.size()).starts_with(asked_prefix);
}

std::optional<WeightKind> KindOfPackedName(std::string_view name) {
  if (!name.starts_with(kPackedPrefix)) return std::nullopt;
  for (const WeightKind kind : PackedKinds())
    if (name.ends_with(WeightKindName(kind))) return kind;
  return std::nullopt;
}

}  // namespace binocle
