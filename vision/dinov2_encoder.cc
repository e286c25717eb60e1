#include "vision/dinov2_encoder.h"

#include <algorithm>
#include <cmath>

#include "core/ops/elementwise.h"
#include "core/ops/linear_activate.h"
#include "core/ops/product_rows.h"
#include "core/ops/swiglu.h"
#include "vision/patches.h"
#include "vision/position_embedding.h"

// B images, S = 1 + R + P tokens an image, R registers, P patches, Dv width, F ffn width.

namespace binocle {
namespace {

// y = Wd·GELU(Wi m + bi) + bd
void Mlp(Exec& ex, const Dinov2BlockWeights& w, TowerActivations& a, const TensorView& m,
         const TensorView& y) {
  const TensorView ff = RowsBetween(w.in, w.down, a.ff);
  LinearActivate(ex, m, w.in, Activation::kGelu, ff);  // ff [B·S, F]
  Linear(ex, ff, w.down, y);                           // y  [B·S, Dv]
}

// y = Wd·(SiLU(g) ⊙ u) + bd        [g | u] = Wi m + bi
void GatedMlp(Exec& ex, const Dinov2BlockWeights& w, TowerActivations& a, const TensorView& m,
              const TensorView& y) {
  const TensorView gated = RowsBetween(w.in, w.down, a.ff_gated);
  SwiGlu(ex, m, w.in, a.ff, gated);  // [B·S, h]
  Linear(ex, gated, w.down, y);      // y  [B·S, Dv]
}

using FeedForward = void (*)(Exec&, const Dinov2BlockWeights&, TowerActivations&, const TensorView&,
                             const TensorView&);

// h = x + λ₁ ⊙ (Wo·Attn(n) + bo)    n = LN₁(x)
// y = h + λ₂ ⊙ FFN(m)               m = LN₂(h)
void Dinov2Block(Exec& ex, const Dinov2BlockWeights& w, FeedForward ffn, TowerActivations& a,
                 AttentionTap::Layer* tap) {
  const TensorView n = RowsInto(w.qkv, a.n), m = RowsInto(w.in, a.n);
  LayerNorm(ex, a.x, w.norm1, n);            // n    [B·S, Dv]
  Linear(ex, n, w.qkv, a.qkv);               // qkv  [B·S, 3·Dv]
  TowerAttention(ex, a, tap);                // attn [B·S, Dv]
  Linear(ex, a.attn, w.out, a.n);            // o    [B·S, Dv]
  AddScaledRows(ex, a.x, w.scale1, a.n);     // x   += λ₁ ⊙ o
  LayerNorm(ex, a.x, w.norm2, m);            // m    [B·S, Dv]
  ffn(ex, w, a, m, a.attn);                  // f    [B·S, Dv]
  AddScaledRows(ex, a.x, w.scale2, a.attn);  // x   += λ₂ ⊙ f
}

class Dinov2Encoder final : public VisionEncoder {
 public:
  Dinov2Encoder(const Dinov2Config& config, Dinov2Weights weights)
      : config_(config),
        weights_(std::move(weights)),
        a_(config.tower_shape(), weights_.patch.place()) {}

  int64_t width() const override { return config_.width; }
  PatchGrid grid() const override { return config_.grid(); }
  int64_t image_height() const override { return config_.height; }
  int64_t image_width() const override { return config_.image_width; }
  int64_t tokens() const override { return config_.feature.tokens(grid().patches()); }
  int64_t layers() const override { return config_.layers; }
  int64_t layers_run() const override { return std::ssize(weights_.blocks); }
  int64_t most_images() const override { return a_.shape.images; }

  void Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
              AttentionTap* tap) override;
  bool Has(ClassOutput) const override { return layers_run() == layers() && weights_.norm; }
  void EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                   const TensorView& out) override;

 private:
  void Embed(Exec& ex, const TensorView& pixels);
  void RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap);

  Dinov2Config config_;
  Dinov2Weights weights_;
  TowerActivations a_;
};

// x₀ = [class + pos₀ ; registers ; patches·Wᵀ + b + pos]
void Dinov2Encoder::Embed(Exec& ex, const TensorView& pixels) {
  const int64_t special = 1 + config_.registers;
  a_.Take(pixels.dim(0) / 3);
  PatchRows(ex, pixels, config_.patch_size, a_.patch_rows);        // [B·P, 3·p·p]
  Linear(ex, a_.patch_rows, weights_.patch, a_.patch_embeddings);  // [B·P, Dv]
  AddRows(ex, a_.patch_embeddings, weights_.positions);            // [B·P, Dv]
  for (int64_t b = 0; b < a_.images(); ++b) {
    CopyRows(ex, weights_.special_tokens, a_.tokens_of(b).Rows(0, special));         // [1 + R, Dv]
    CopyRows(ex, a_.patches_of(b), a_.tokens_of(b).Rows(special, a_.shape.tokens));  // [P, Dv]
  }
}

// a_.x = the last hidden state that runs
void Dinov2Encoder::RunLayers(Exec& ex, const TensorView& pixels, AttentionTap* tap) {
  Embed(ex, pixels);
  for (size_t l = 0; l < weights_.blocks.size(); ++l) {
    AttentionTap::Layer* layer_tap = tap != nullptr ? tap->Find(static_cast<int64_t>(l)) : nullptr;
    Dinov2Block(ex, weights_.blocks[l], config_.swiglu ? GatedMlp : Mlp, a_, layer_tap);
  }
}

void Dinov2Encoder::Encode(Exec& ex, const TensorView& pixels, const TensorView& features,
                           AttentionTap* tap) {
  RunLayers(ex, pixels, tap);
  if (config_.feature.final_norm) LayerNorm(ex, a_.x, *weights_.norm, a_.x);
  SelectFeatures(ex, a_, config_.feature, features);
}

// Both outputs are the same here: the final norm comes before either.
void Dinov2Encoder::EncodeWhole(Exec& ex, const TensorView& pixels, ClassOutput output,
                                const TensorView& out) {
  BINOCLE_CHECK(Has(output), "a tower without it");
  RunLayers(ex, pixels, nullptr);
  LayerNorm(ex, a_.x.Rows(0, 1), *weights_.norm, out);  // [1, Dv]
}

// [class + pos₀ ; registers] and the resampled patch positions.
void BindTokens(const Dinov2Config& c, WeightBinder& b, const std::string& why, Dinov2Weights& w) {
  Tensor class_token = b.HostF32("embeddings.cls_token", {1, 1, c.width}, why);
  Tensor positions = b.HostF32("embeddings.position_embeddings",
                               {1, 1 + c.trained_grid().patches(), c.width}, why);
  Tensor registers;
  if (c.registers > 0)
    registers = b.HostF32("embeddings.register_tokens", {1, c.registers, c.width}, why);
  if (b.checking()) return;
  const TensorView table = positions.view().Reshape({1 + c.trained_grid().patches(), c.width});
  w.special_tokens = Tensor::F32({1 + c.registers, c.width}, "special_tokens");
  for (int64_t i = 0; i < c.width; ++i)
    w.special_tokens.row(0)[i] = class_token.f32()[i] + table.row(0)[i];
  if (c.registers > 0)
    CopyRows(registers.view().Reshape({c.registers, c.width}),
             w.special_tokens.view().Rows(1, 1 + c.registers));
  const TensorView patches = table.Rows(1, table.dim(0));
  const PatchGrid grid = c.grid();
  const PatchGrid trained = c.trained_grid();
  if (grid.height == trained.height && grid.width == trained.width) {
    w.positions = Tensor::F32({grid.patches(), c.width}, "position_embeddings");
    CopyRows(patches, w.positions);
  } else {
    w.positions =
        ResampleBicubic(patches, trained, grid, c.registers > 0 ? Antialias::kOn : Antialias::kOff);
  }
  w.special_tokens = b.Placed(std::move(w.special_tokens));
  w.positions = b.Placed(std::move(w.positions));
}

Dinov2BlockWeights BindBlock(const Dinov2Config& c, WeightBinder b, const std::string& why) {
  const int64_t width = c.width;
  Dinov2BlockWeights w{
      .norm1 = b.LayerNorm("norm1", width, c.epsilon, why),
      .qkv = b.Linear({{"attention.attention.query", width},
                       {"attention.attention.key", width},
                       {"attention.attention.value", width}},
                      width, Bias::kPresent, why),
      .out = b.Linear({{"attention.output.dense", width}}, width, Bias::kPresent, why),
      .scale1 = b.F32("layer_scale1.lambda1", {width}, why),
      .norm2 = b.LayerNorm("norm2", width, c.epsilon, why),
      .in = {},
      .down = {},
      .scale2 = b.F32("layer_scale2.lambda1", {width}, why)};
  w.in =
      b.Linear({{c.swiglu ? "mlp.weights_in" : "mlp.fc1", c.ff_width}}, width, Bias::kPresent, why);
  w.down = b.Linear({{c.swiglu ? "mlp.weights_out" : "mlp.fc2", width}},
                    c.swiglu ? c.ff_width / 2 : c.ff_width, Bias::kPresent, why);
  return w;
}

}  // namespace

Dinov2Weights BindDinov2(const Dinov2Config& c, WeightBinder b) {
  const std::string why = internal::Concat(
      "hidden_size=", c.width, ", ffn width ", c.ff_width, ", image_size=", c.trained_size,
      ", patch_size=", c.patch_size, ", registers ", c.registers);
  Dinov2Weights w;
  b.Ignore("embeddings.mask_token");
  w.patch = b.Convolution("embeddings.patch_embeddings.projection",
                          {c.width, 3, c.patch_size, c.patch_size}, Bias::kPresent, why);
  BindTokens(c, b, why, w);
  const int64_t run = LayersToRun(c.feature, c.layers);
  for (int64_t l = 0; l < c.layers; ++l) {
    const std::string prefix = "encoder.layer." + std::to_string(l) + ".";
    if (l < run) {
      w.blocks.push_back(BindBlock(c, b.Under(prefix), why));
    } else {
      b.IgnoreUnder(prefix);
    }
  }
  if (c.feature.final_norm || (run == c.layers && b.Has("layernorm.weight"))) {
    w.norm = b.LayerNorm("layernorm", c.width, c.epsilon, why);
  } else {
    b.IgnoreUnder("layernorm.");
  }
  return w;
}

std::unique_ptr<VisionEncoder> MakeDinov2Encoder(const Dinov2Config& config,
                                                 Dinov2Weights weights) {
  return std::make_unique<Dinov2Encoder>(config, std::move(weights));
}

}  // namespace binocle
