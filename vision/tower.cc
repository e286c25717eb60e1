#include "vision/tower.h"

#include <algorithm>
#include <cmath>

#include "attention/attention_map.h"
#include "core/ops/elementwise.h"

namespace binocle {

TowerActivations::TowerActivations(const TowerShape& s, Place place)
    : shape(s),
      kv(1, s.heads, s.head_dim(), s.images * PagesFor(s.tokens), s.kv_dtype, place),
      all_patch_rows_(
          Tensor::F32({s.images * s.patches, s.patch_width}, "tower.patch_rows", place)),
      all_patch_embeddings_(
          Tensor::F32({s.images * s.patches, s.width}, "tower.patch_embeddings", place)),
      all_x_(Tensor::F32({s.images * s.tokens, s.width}, "tower.x", place)),
      all_n_(Tensor::F32({s.images * s.tokens, s.width}, "tower.n", place)),
      all_qkv_(Tensor::F32({s.images * s.tokens, 3 * s.width}, "tower.qkv", place)),
      all_attn_(Tensor::F32({s.images * s.tokens, s.width}, "tower.attn", place)),
      all_lse_(Tensor::F32({s.images * s.tokens, s.heads}, "tower.lse", place)),
      all_ff_(Tensor::F32({s.images * s.tokens, s.ff_width}, "tower.ff", place)),
      all_ff_gated_(Tensor::F32({s.images * s.tokens, s.gated_width}, "tower.ff_gated", place)) {
  for (const Tensor* buffer : {&all_patch_rows_, &all_patch_embeddings_, &all_x_, &all_n_,
                               &all_qkv_, &all_attn_, &all_lse_, &all_ff_})
    buffer->Commit();
  const int64_t pages_per_image = PagesFor(s.tokens);
  for (int64_t page = 0; page < s.images * pages_per_image; ++page)
    pages_.push_back(static_cast<int32_t>(page));
  for (int64_t b = 0; b < s.images; ++b) {
    for (int64_t t = 0; t < s.tokens; ++t)
      all_slots_.push_back(static_cast<int32_t>(b * pages_per_image * kPageTokens + t));
    all_runs_.push_back(
        {.first_row = b * s.tokens,
         .rows = s.tokens,
         .first_position = 0,
         .keys = s.tokens,
         .pages = std::span(pages_).subspan(static_cast<size_t>(b * pages_per_image),
                                            static_cast<size_t>(pages_per_image))});
  }
  Take(s.images);
}

void TowerActivations::Take(int64_t images) {
  BINOCLE_CHECK(images >= 1 && images <= shape.images, images, " images, room for ", shape.images);
  const int64_t rows = images * shape.tokens, patches = images * shape.patches;
  patch_rows = all_patch_rows_.view().Rows(0, patches);
  patch_embeddings = all_patch_embeddings_.view().Rows(0, patches);
  x = all_x_.view().Rows(0, rows);
  n = all_n_.view().Rows(0, rows);
  qkv = all_qkv_.view().Rows(0, rows);
  attn = all_attn_.view().Rows(0, rows);
  lse = all_lse_.view().Rows(0, rows);
  ff = all_ff_.view().Rows(0, rows);
  ff_gated = all_ff_gated_.view().Rows(0, rows);
  slots = std::span(all_slots_).first(static_cast<size_t>(rows));
  runs = std::span(all_runs_).first(static_cast<size_t>(images));
}

int64_t TowerActivations::Bytes(const TowerShape& s) {
  const int64_t rows = s.images * s.tokens;
  const int64_t floats = s.images * s.patches * (s.patch_width + s.width) +
                         rows * (6 * s.width + s.heads + s.ff_width + s.gated_width);
  return floats * 4 +
         KvPool::Bytes(1, s.heads, s.head_dim(), s.images * PagesFor(s.tokens), s.kv_dtype);
}

namespace {

// The class token is row 0, the patches are the last P columns.
void TapClassToken(Exec& ex, const AttentionArgs& args, const TowerActivations& a,
                   AttentionTap::Layer& tap) {
  const int64_t patches = a.shape.patches;
  tap.class_weights = Tensor::F32({a.shape.heads, patches}, "class_attention");
  const Tensor weights = Tensor::F32({a.shape.heads, a.shape.tokens}, "class_attention");
  AttentionWeightsOfHeads({ex, args, a.runs[0], 0, a.lse}, weights);
  for (int64_t h = 0; h < a.shape.heads; ++h)
    std::copy_n(weights.row(h) + a.shape.tokens - patches, patches, tap.class_weights.row(h));
}

// received[j] = 1/heads · Σ_h Σ_i α_hij.
void TapReceived(Exec& ex, const AttentionArgs& args, const TowerActivations& a,
                 AttentionTap::Layer& tap) {
  const int64_t tokens = a.shape.tokens;
  const Tensor of_heads = Tensor::F32({a.shape.heads, tokens}, "received");
  ReceivedWeights({ex, args, a.runs[0], 0, a.lse}, of_heads);
  const int64_t patches = a.shape.patches;
  tap.received = Tensor::F32({1, patches}, "received_attention");
  for (int64_t h = 0; h < a.shape.heads; ++h) {
    const float* patch = of_heads.row(h) + tokens - patches;
    for (int64_t j = 0; j < patches; ++j)
      tap.received.row(0)[j] += patch[j] / static_cast<float>(a.shape.heads);
  }
}

}  // namespace

void TowerAttention(Exec& ex, TowerActivations& a, AttentionTap::Layer* tap) {
  const KvLayer layer = a.kv.layer(0);
  WriteKv(ex, a.k(), a.v(), a.slots, layer);
  const AttentionArgs args{.q = a.q(),
                           .kv = layer,
                           .runs = a.runs,
                           .mask = Mask::kNone,
                           .scale = 1.0F / std::sqrt(static_cast<float>(a.shape.head_dim()))};
  Attention(ex, args, a.attn, a.lse);
  if (tap == nullptr) return;
  const bool class_token = a.shape.tokens > a.shape.patches;
  if (tap->received_wanted || !class_token) TapReceived(ex, args, a, *tap);
  if (class_token) {
    TapClassToken(ex, args, a, *tap);
  } else {
    tap->class_weights = tap->received.Clone();
  }
}

void SelectFeatures(Exec& ex, const TowerActivations& a, const FeatureSelection& selection,
                    const TensorView& features) {
  const int64_t tokens = a.shape.tokens;
  const int64_t kept = selection.tokens(a.shape.patches);
  const int64_t patches = a.shape.patches - (selection.drop_first_patch ? 1 : 0);
  for (int64_t b = 0; b < a.images(); ++b) {
    const TensorView image = a.tokens_of(b);
    const TensorView out = features.Rows(b * kept, (b + 1) * kept);
    if (selection.keep_class_token) CopyRows(ex, image.Rows(0, 1), out.Rows(0, 1));
    CopyRows(ex, image.Rows(tokens - patches, tokens), out.Rows(kept - patches, kept));
  }
}

int64_t LayersToRun(const FeatureSelection& selection, int64_t layers) {
  return selection.layer >= 0 ? selection.layer : layers + 1 + selection.layer;
}

}  // namespace binocle
