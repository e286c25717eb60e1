#include "llm/layer_share.h"

#include "core/error.h"

namespace binocle {
namespace {

Division PartOf(int64_t part, int64_t parts, Division::By by) {
  if (parts == 1) return {};
  return {.by = by, .part = part, .parts = parts};
}

}  // namespace

LlamaConfig ShareOfLayers(const LlamaConfig& whole, const RankShare& share,
                          const std::string& where) {
  BINOCLE_CHECK(whole.share.ranks == 1 && share.rank >= 0 && share.rank < share.ranks, share.rank,
                " of ", share.ranks);
  const int64_t ranks = share.ranks, kv_heads = whole.kv_heads;
  const bool kv_divides = ranks <= kv_heads ? kv_heads % ranks == 0 : ranks % kv_heads == 0;
  if (whole.heads % ranks != 0 || !kv_divides || whole.ff_width % ranks != 0) {
    ThrowOption("tensor_parallel", "is ", ranks, ", expected a divisor of the ", whole.heads,
                " heads and the ffn width of ", whole.ff_width,
                ", and a divisor or a multiple of the ", kv_heads, " kv heads, that the layers of ",
                where, " have");
  }
  LlamaConfig own = whole;
  own.share = share;
  own.share.kv_copies = ranks > kv_heads ? ranks / kv_heads : 1;
  own.heads /= ranks;
  own.kv_heads = kv_heads * own.share.kv_copies / ranks;
  own.ff_width /= ranks;
  return own;
}

Division ByRows(const RankShare& share) {
  return PartOf(share.rank, share.ranks, Division::By::kRows);
}

Division ByKvRows(const RankShare& share) {
  return PartOf(share.rank / share.kv_copies, share.ranks / share.kv_copies, Division::By::kRows);
}

Division ByColumns(const RankShare& share) {
  return PartOf(share.rank, share.ranks, Division::By::kColumns);
}

int64_t WholeKvHeads(const LlamaConfig& c) {
  return c.kv_heads * c.share.ranks / c.share.kv_copies;
}

}  // namespace binocle
