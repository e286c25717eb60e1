// How the weights of a matrix are kept, and with what its products are computed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binocle {

enum class WeightKind : uint8_t {
  kF32,   // the reference
  kBf16,  // weights and activations rounded to bfloat16, f32 sums
  kInt8,  // a scale per output feature; activations in bytes with a scale per row; exact sums
  kInt4,  // four bits, a factor of four bits per 32 of them and a scale per output feature; products as with kInt8
  // As stored, in block types (core/block_types.h), never packed; activations in bytes with a scale per 32 of them. What is stored otherwise is kInt8.
  kBlocks,
};

// Which matrices are of which kind: the longest prefix of a name decides, kF32 where none fits.
struct KindsByName {
  struct Entry {
    std::string prefix;  // "language_model.", "anchor.", …
    WeightKind kind;
  };
  std::vector<Entry> entries;
  bool on_cuda = false;  // what is loaded goes to a GPU: what it takes is counted as it is there

  WeightKind Of(std::string_view name) const;
};

std::span<const WeightKind> WeightKinds();
std::span<const WeightKind> PackedKinds();         // of panels that are packed: kBf16, kInt8, kInt4
std::string_view WeightKindName(WeightKind kind);  // "f32", "bf16", "int8", "int4", "blocks"

}  // namespace binocle
