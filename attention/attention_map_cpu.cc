#include "attention/attention_map_cpu.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/attention_map_cpu.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "attention/elements-inl.h"
#include "attention/score_variants-inl.h"
#include "core/simd/panel-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace binocle::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct RowScratch {
  alignas(64) float q[kMaxHeadDim];
  alignas(64) float s[kPageTokens];
  alignas(64) float keys[(kMaxHeadDim + 1) * kPageTokens];
};

// weights [keys] ← exp(s − LSE) page by page, for the keys that the row sees.
void WeightsOfRow(const MapRow& row, int64_t head, float* weights) {
  const hn::ScalableTag<float> tag;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(tag));
  const KvLayer& kv = row.args.kv;
  const int64_t d = kv.head_dim;
  const int64_t kv_head = head / (row.args.q.dim(1) / (d * kv.kv_heads));
  const auto lse = hn::Set(tag, row.lse.row(row.run.first_row + row.row)[head]);
  RowScratch scratch;
  ReadQuery(row.args.q, row.run.first_row + row.row, head * d, d, scratch.q);
  for (int64_t i = 0; i < d; ++i) {
    scratch.q[i] *= row.args.scale;
    if (kv.dtype != DType::kF32) scratch.q[i] = F32FromBf16(Bf16FromF32(scratch.q[i]).bits);
  }
  const int64_t seen =
      row.args.mask == Mask::kCausal ? row.run.first_position + row.row + 1 : row.run.keys;
  const int64_t first_seen =
      row.args.window > 0 ? std::max(row.run.first_key, seen - row.args.window) : row.run.first_key;
  for (int64_t first = 0; first < seen; first += kPageTokens) {
    const int32_t page = row.run.pages[static_cast<size_t>(first / kPageTokens)];
    const int64_t count = std::min(kPageTokens, seen - first);
    Panel<Store::kOverwrite>({.a = scratch.q,
                              .lda = d,
                              .b = ReadKeyPage(kv, page, kv_head, scratch.keys),
                              .ldb = kPageTokens,
                              .c = scratch.s,
                              .ldc = kPageTokens,
                              .depth = d,
                              .columns = kPageTokens},
                             1);
    std::visit([&](const auto& v) { ApplyVariant(v, head, first, count, scratch.s); },
               row.run.variant);
    for (int64_t j = 0; j < kPageTokens; j += lanes) {
      const auto exponent = hn::Sub(hn::Load(tag, scratch.s + j), lse);
      hn::Store(hn::Exp(tag, hn::Max(exponent, hn::Set(tag, -200.0F))), tag, scratch.s + j);
    }
    const int64_t hidden = std::clamp<int64_t>(first_seen - first, 0, count);
    std::copy(scratch.s + hidden, scratch.s + count, weights + first + hidden);
  }
}

}  // namespace binocle::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace binocle {
namespace {
HWY_EXPORT(WeightsOfRow);
}  // namespace
void AttentionWeightsCpu(const MapRow& row, int64_t head, float* weights) {
  HWY_DYNAMIC_DISPATCH(WeightsOfRow)(row, head, weights);
}
}  // namespace binocle
#endif  // HWY_ONCE
