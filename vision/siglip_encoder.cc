#include "vision/siglip_encoder.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/ops/elementwise.h"
#include "core/ops/linear_activate.h"
#include "vision/patches.h"

// B images, P patches an image, Dv width, F ffn width, H heads of d = Dv/H.

namespace binocle {
namespace {

class SiglipEncoder final : public VisionEncoder {
 public:
  SiglipEncoder(const SiglipConfig& config, SiglipWeights weights)
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
    return output == ClassOutput::kPooled && weights_.head;
  }
  void EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                   const TensorView& out) override;

 private:
  void Embed(Exec& ex, const TensorView& pixels);
  void RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap);

  SiglipConfig config_;
  SiglipWeights weights_;
  TowerActivations a_;
};

// x₀ = patches·Wᵀ + b + positions
void SiglipEncoder::Embed(Exec& ex, const TensorView& pixels) {
  a_.Take(pixels.dim(0) / 3);
  PatchRows(ex, pixels, config_.patch_size, a_.patch_rows);  // [B·P, 3·p·p]
  Linear(ex, a_.patch_rows, weights_.patch, a_.x);           // [B·P, Dv]
  AddRows(ex, a_.x, weights_.positions);                     // [B·P, Dv]
}

// a_.x = the last hidden state that runs
void SiglipEncoder::RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap) {
  Embed(ex, pixels);
  for (size_t l = 0; l < weights_.blocks.size(); ++l) {
    AttentionTap::Layer* layer_tap = tap != nullptr ? tap->Find(static_cast<int64_t>(l)) : nullptr;
    ClipBlock(ex, weights_.blocks[l], config_.activation, a_, layer_tap);
  }
}

void SiglipEncoder::Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
                           AttentionTap* tap) {
  RunLayers(ex, pixels, tap);
  if (config_.feature.final_norm) LayerNorm(ex, a_.x, *weights_.post_norm, a_.x);
  SelectFeatures(ex, a_, config_.feature, features);
}

// One query over all patches: out [1, Dv] = softmax(q kᵀ/√d) v, qkv [P, 3·Dv].
void AttendOnce(const TensorView& q, const TensorView& qkv, int64_t heads, const TensorView& out) {
  const int64_t patches = qkv.dim(0), width = q.dim(1), dim = width / heads;
  std::vector<double> weights(static_cast<size_t>(patches));
  for (int64_t h = 0; h < heads; ++h) {
    double largest = -INFINITY, sum = 0;
    for (int64_t p = 0; p < patches; ++p) {
      const float* k = qkv.row(p) + width;
      double score = 0;
      for (int64_t i = h * dim; i < (h + 1) * dim; ++i)
        score += static_cast<double>(q.row(0)[i]) * k[i];
      weights[static_cast<size_t>(p)] = score / std::sqrt(static_cast<double>(dim));
      largest = std::max(largest, weights[static_cast<size_t>(p)]);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - largest);
    for (int64_t i = h * dim; i < (h + 1) * dim; ++i) {
      double value = 0;
      for (int64_t p = 0; p < patches; ++p)
        value += weights[static_cast<size_t>(p)] * qkv.row(p)[2 * width + i];
      out.row(0)[i] = static_cast<float>(value / sum);
    }
  }
}

// p = Wo·Attn(probe, n, n) + bo     n = LN_post(x)
// pooled = p + W₂·act(W₁·LN p + b₁) + b₂
void SiglipEncoder::EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                                const TensorView& out) {
  BINOCLE_CHECK(Has(output), "a tower without it");
  const SiglipHeadWeights& w = *weights_.head;
  const TensorView one = a_.attn.Rows(0, 1), ff = a_.ff.Rows(0, 1);
  RunLayers(ex, pixels, nullptr);
  LayerNorm(ex, a_.x, *weights_.post_norm, a_.n);  // n   [P, Dv]
  Linear(ex, w.probe, w.qkv, a_.qkv.Rows(0, 1));
  CopyRows(ex, a_.q().Rows(0, 1), one);  // q   [1, Dv]
  Linear(ex, a_.n, w.qkv, a_.qkv);       // qkv [P, 3·Dv]
  const Tensor pooled = Tensor::F32({1, width()}, "pooled");
  AttendOnce(ToHost(ex, one), ToHost(ex, a_.qkv), config_.heads, pooled);
  CopyRows(ex, pooled, a_.x.Rows(0, 1));
  Linear(ex, a_.x.Rows(0, 1), w.out, out);                 // p   [1, Dv]
  LayerNorm(ex, out, w.norm, one);                         // m   [1, Dv]
  LinearActivate(ex, one, w.fc1, config_.activation, ff);  // ff  [1, F]
  LinearAdd(ex, ff, w.fc2, out);                           // out += ff·W₂ᵀ + b₂
}

SiglipHeadWeights BindHead(const SiglipConfig& c, WeightBinder b, const std::string& why) {
  SiglipHeadWeights w;
  w.probe = b.F32("probe", {1, 1, c.width}, why);
  w.qkv = b.LinearNamed("attention.in_proj_weight", "attention.in_proj_bias", 3 * c.width, c.width,
                        why);
  w.out = b.Linear({{"attention.out_proj", c.width}}, c.width, Bias::kPresent, why);
  w.norm = b.LayerNorm("layernorm", c.width, c.epsilon, why);
  w.fc1 = b.Linear({{"mlp.fc1", c.ff_width}}, c.width, Bias::kPresent, why);
  w.fc2 = b.Linear({{"mlp.fc2", c.width}}, c.ff_width, Bias::kPresent, why);
  if (!b.checking()) w.probe = std::move(w.probe).Reshaped({1, c.width});
  return w;
}

}  // namespace

SiglipWeights BindSiglip(const SiglipConfig& c, WeightBinder binder) {
  WeightBinder b = binder.Under("vision_model.");
  const std::string why =
      internal::Concat("hidden_size=", c.width, ", intermediate_size=", c.ff_width,
                       ", image_size=", c.image_size, ", patch_size=", c.patch_size);
  const int64_t run = LayersToRun(c.feature, c.layers);
  SiglipWeights w;
  b.Ignore("embeddings.position_ids");
  w.patch = b.Convolution("embeddings.patch_embedding", {c.width, 3, c.patch_size, c.patch_size},
                          Bias::kPresent, why);
  w.positions = b.F32("embeddings.position_embedding.weight", {c.grid().patches(), c.width}, why);
  w.blocks = BindClipBlocks(
      {.width = c.width, .ff_width = c.ff_width, .layers = c.layers, .epsilon = c.epsilon}, run, b,
      why);
  const bool all_run = run == c.layers && b.Has("post_layernorm.weight");
  if (c.feature.final_norm || all_run) {
    w.post_norm = b.LayerNorm("post_layernorm", c.width, c.epsilon, why);
  } else {
    b.IgnoreUnder("post_layernorm.");
  }
  if (all_run && c.pooling_head && b.Has("head.probe")) {
    w.head = BindHead(c, b.Under("head."), why);
  } else {
    b.IgnoreUnder("head.");
  }
  return w;
}

std::unique_ptr<VisionEncoder> MakeSiglipEncoder(const SiglipConfig& config,
                                                 SiglipWeights weights) {
  return std::make_unique<SiglipEncoder>(config, std::move(weights));
}

}  // namespace binocle
