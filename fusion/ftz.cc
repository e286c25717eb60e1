#include "fusion/ftz.h"

#include <cmath>

#include "core/ops/elementwise.h"

// n_a anchor tokens of width d_a, n_b augmenting tokens of width d_b, h heads over d_f features.

namespace binocle {

FtzWeights BindFtz(const FusionConfig& c, int64_t d_a, int64_t d_b, WeightBinder b) {
  const std::string why = internal::Concat("anchor width ", d_a, ", augment width ", d_b,
                                           ", fusion hidden_size=", c.width);
  FtzWeights w{.q = b.Linear({{"q_proj", c.width}}, d_a, Bias::kPresent, why),
               .kv = b.Linear({{"k_proj", c.width}, {"v_proj", c.width}}, d_b, Bias::kPresent, why),
               .out = b.Linear({{"out_proj", d_a}}, c.width, Bias::kPresent, why),
               .norm = {}};
  if (c.norm != FtzNorm::kNone) w.norm = b.LayerNorm("norm", d_a, c.epsilon, why);
  return w;
}

Ftz::Ftz(const FusionConfig& config, FtzWeights weights, int64_t n_a, int64_t n_b)
    : config_(config),
      weights_(std::move(weights)),
      n_(Tensor::CommittedF32({n_a, weights_.out.n}, "ftz.n", weights_.out.place())),
      q_(Tensor::CommittedF32({n_a, config.width}, "ftz.q", weights_.out.place())),
      kv_(Tensor::CommittedF32({n_b, 2 * config.width}, "ftz.kv", weights_.out.place())),
      attn_(Tensor::CommittedF32({n_a, config.width}, "ftz.attn", weights_.out.place())),
      lse_(Tensor::CommittedF32({n_a, config.heads}, "ftz.lse", weights_.out.place())),
      pages_(1, config.heads, config.width / config.heads, PagesFor(n_b), config.kv_dtype,
             weights_.out.place()) {
  for (int64_t i = 0; i < n_b; ++i) slots_.push_back(static_cast<int32_t>(i));
  for (int64_t i = 0; i < PagesFor(n_b); ++i) page_list_.push_back(static_cast<int32_t>(i));
}

int64_t Ftz::Bytes(const FusionConfig& c, int64_t d_a, int64_t n_a, int64_t n_b) {
  return 4 * (n_a * (d_a + 2 * c.width + c.heads) + n_b * 2 * c.width) +
         KvPool::Bytes(1, c.heads, c.width / c.heads, PagesFor(n_b), c.kv_dtype);
}

// attn = softmax(Q Kᵀ/√d) V        Q = a W_Qᵀ + b_Q, [K | V] = b W_KVᵀ + b_KV
void Ftz::CrossAttention(Exec& ex, const TensorView& a, const TensorView& b) {
  const KvLayer layer = pages_.layer(0);
  const int64_t n_b = b.dim(0);
  Linear(ex, a, weights_.q, q_);    // q    [n_a, d_f]
  Linear(ex, b, weights_.kv, kv_);  // k, v [n_b, d_f]
  WriteKv(ex, kv_.view().Columns(0, config_.width),
          kv_.view().Columns(config_.width, 2 * config_.width), slots_, layer);
  const QueryRun run{
      .first_row = 0, .rows = a.dim(0), .first_position = 0, .keys = n_b, .pages = page_list_};
  const float scale = 1.0F / std::sqrt(static_cast<float>(layer.head_dim));
  Attention(ex, {.q = q_, .kv = layer, .runs = {&run, 1}, .mask = Mask::kNone, .scale = scale},
            attn_, lse_);  // [n_a, d_f]
}

void Ftz::Forward(Exec& ex, const TensorView& anchor, const TensorView& augment,
                  const TensorView& fused) {
  if (config_.norm == FtzNorm::kPre) {
    LayerNorm(ex, anchor, weights_.norm, n_);  // n    [n_a, d_a]
    CrossAttention(ex, n_, augment);
  } else {
    CrossAttention(ex, anchor, augment);
  }
  if (config_.residual == Residual::kOn) {
    CopyRows(ex, anchor, fused);
    LinearAdd(ex, attn_, weights_.out, fused);  // A + C [n_a, d_a]
  } else {
    Linear(ex, attn_, weights_.out, fused);  // C     [n_a, d_a]
  }
  if (config_.norm == FtzNorm::kPost) LayerNorm(ex, fused, weights_.norm, fused);
}

}  // namespace binocle
