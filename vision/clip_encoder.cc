#include "vision/clip_encoder.h"

#include "core/ops/elementwise.h"
#include "vision/patches.h"

// B images, S tokens an image (the class token first), P patches, Dv width.

namespace binocle {
namespace {

class ClipEncoder final : public VisionEncoder {
 public:
  ClipEncoder(const ClipConfig& config, ClipWeights weights)
      : config_(config),
        weights_(std::move(weights)),
        a_(config.tower_shape(), weights_.patch.place()) {}

  int64_t width() const override { return config_.width; }
  PatchGrid grid() const override { return config_.grid(); }
  int64_t image_height() const override { return config_.image_size; }
  int64_t image_width() const override { return config_.image_size; }
  int64_t tokens() const override { return config_.feature.tokens(grid().patches()); }
  int64_t layers() const override { return config_.layers; }
  int64_t layers_run() const override { return std::ssize(weights_.blocks); }
  int64_t most_images() const override { return a_.shape.images; }

  void Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
              AttentionTap* tap) override;
  bool Has(ClassOutput output) const override {
    return layers_run() == layers() && (output == ClassOutput::kLast || weights_.post_norm);
  }
  void EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                   const TensorView& out) override;

 private:
  void Embed(Exec& ex, const TensorView& pixels);
  void RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap);

  ClipConfig config_;
  ClipWeights weights_;
  TowerActivations a_;
};

// x₀ = LN_pre([class ; patches·Wᵀ] + positions)
void ClipEncoder::Embed(Exec& ex, const TensorView& pixels) {
  const int64_t tokens = a_.shape.tokens;
  a_.Take(pixels.dim(0) / 3);
  PatchRows(ex, pixels, config_.patch_size, a_.patch_rows);        // [B·P, 3·p·p]
  Linear(ex, a_.patch_rows, weights_.patch, a_.patch_embeddings);  // [B·P, Dv]
  for (int64_t b = 0; b < a_.images(); ++b) {
    CopyRows(ex, weights_.class_token, a_.tokens_of(b).Rows(0, 1));   // [1, Dv]
    CopyRows(ex, a_.patches_of(b), a_.tokens_of(b).Rows(1, tokens));  // [P, Dv]
  }
  AddRows(ex, a_.x, weights_.positions);  // [B·S, Dv]
  LayerNorm(ex, a_.x, weights_.pre_norm, a_.x);
}

// a_.x = the last hidden state that runs
void ClipEncoder::RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap) {
  Embed(ex, pixels);
  for (size_t l = 0; l < weights_.blocks.size(); ++l) {
    AttentionTap::Layer* layer_tap = tap != nullptr ? tap->Find(static_cast<int64_t>(l)) : nullptr;
    ClipBlock(ex, weights_.blocks[l], config_.activation, a_, layer_tap);
  }
}

void ClipEncoder::Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
                         AttentionTap* tap) {
  RunLayers(ex, pixels, tap);
  if (config_.feature.final_norm) LayerNorm(ex, a_.x, *weights_.post_norm, a_.x);
  SelectFeatures(ex, a_, config_.feature, features);
}

void ClipEncoder::EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                              const TensorView& out) {
  BINOCLE_CHECK(Has(output), "a tower without it");
  RunLayers(ex, pixels, nullptr);
  CopyRows(ex, a_.x.Rows(0, 1), out);  // [1, Dv]
  if (output == ClassOutput::kPooled) LayerNorm(ex, out, *weights_.post_norm, out);
}

}  // namespace

ClipWeights BindClip(const ClipConfig& c, WeightBinder binder) {
  WeightBinder b = binder.Under("vision_model.");
  const std::string why =
      internal::Concat("hidden_size=", c.width, ", intermediate_size=", c.ff_width,
                       ", image_size=", c.image_size, ", patch_size=", c.patch_size);
  const int64_t patches = c.grid().patches();
  ClipWeights w;
  b.Ignore("embeddings.position_ids");
  w.class_token = b.F32("embeddings.class_embedding", {c.width}, why);
  // Stored as [Dv, 3, p, p]; one row per output feature.
  w.patch = b.Convolution("embeddings.patch_embedding", {c.width, 3, c.patch_size, c.patch_size},
                          Bias::kAbsent, why);
  w.positions = b.F32("embeddings.position_embedding.weight", {1 + patches, c.width}, why);
  w.pre_norm = b.LayerNorm("pre_layrnorm", c.width, c.epsilon, why);
  const int64_t run = LayersToRun(c.feature, c.layers);
  w.blocks = BindClipBlocks(
      {.width = c.width, .ff_width = c.ff_width, .layers = c.layers, .epsilon = c.epsilon}, run, b,
      why);
  if (c.feature.final_norm || (run == c.layers && b.Has("post_layernorm.weight"))) {
    w.post_norm = b.LayerNorm("post_layernorm", c.width, c.epsilon, why);
  } else {
    b.IgnoreUnder("post_layernorm.");
  }
  if (!binder.checking()) w.class_token = std::move(w.class_token).Reshaped({1, c.width});
  return w;
}

std::unique_ptr<VisionEncoder> MakeClipEncoder(const ClipConfig& config, ClipWeights weights) {
  return std::make_unique<ClipEncoder>(config, std::move(weights));
}

}  // namespace binocle
