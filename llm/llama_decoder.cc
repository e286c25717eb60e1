#include "llm/llama_decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attention/rope_kv.h"
#include "core/backend/cuda_backend.h"
#include "core/ops/elementwise.h"
#include "core/ops/product_rows.h"
#include "core/ops/ranks.h"
#include "core/ops/swiglu.h"
#include "llm/decoder_leader.h"
#include "llm/layer_share.h"

// T rows of the batch (Tt text, Tv visual), D width, H query heads, K kv heads, d head width, F ffn width, V vocabulary, L layers.

namespace binocle {
namespace {

// What every layer function needs beside its weights and rows.
struct LayerContext {
  Exec& ex;
  const RopeTable& rope;
  KvLayer kv;
  float scale;                         // of q·k
  int64_t window;                      // 0: none
  std::span<const int32_t> positions;  // of the rows at hand
  std::span<const int32_t> slots;      // of the rows at hand
};

// Where RopeAndWriteKv leaves them: scaled and rounded in a buffer of their own on a GPU with bf16 pages, in place elsewhere.
TensorView RotatedQueries(const LayerContext& c, const DecoderActivations::Rows& a) {
  return c.kv.device == Device::kCuda && c.kv.dtype == DType::kBF16 ? a.rotated : a.q;
}

AttentionArgs CausalAttention(const LayerContext& c, std::span<const QueryRun> runs,
                              const DecoderActivations::Rows& a) {
  const TensorView q = RotatedQueries(c, a);
  return {.q = q,
          .kv = c.kv,
          .runs = runs,
          .mask = Mask::kCausal,
          .scale = q.dtype() == DType::kBF16 ? 1.0F : c.scale,
          .window = c.window};
}

// Qwen3: each head of q or k over its own size. Others have no such norm.
void NormHeads(Exec& ex, const std::optional<RmsNormWeights>& norm, const TensorView& heads) {
  if (norm) HeadRmsNorm(ex, *norm, heads);
}

// Granite multiplies what is added to a row. Its Wo and Wd are multiplied instead, once (BindBlock).

// y = h + Wd·(SiLU(Wg m) ⊙ Wu m)    m = N₂(h)
void FeedForward(Exec& ex, const LlamaBlockWeights& w, const DecoderActivations::Rows& a) {
  const TensorView m = RowsInto(w.gate_up, a.n), ff = RowsBetween(w.gate_up, w.down, a.ff);
  RmsNorm(ex, a.x, w.ffn_norm, m);               // m  [T, D]
  SwiGlu(ex, m, w.gate_up, a.gate_up, ff);       // ff [T, F]
  LinearAddOverRanks(ex, ff, w.down, a.n, a.x);  // x += ff·Wdᵀ
}

// h = x + Wo·Attn(RoPE(Wq n), RoPE(Wk n), Wv n)    n = N₁(x)
// y = h + Wd·(SiLU(Wg m) ⊙ Wu m)                   m = N₂(h)
void DecoderBlock(const LayerContext& c, const LlamaBlockWeights& w, std::span<const QueryRun> runs,
                  const DecoderActivations::Rows& a) {
  const TensorView n = RowsInto(w.q, w.kv, a.n);
  RmsNorm(c.ex, a.x, w.attn_norm, n);  // n    [T, D]
  Linear(c.ex, n, w.q, a.q);           // q    [T, H·d]
  Linear(c.ex, n, w.kv, a.kv);         // k, v [T, K·d]
  NormHeads(c.ex, w.q_norm, a.q);
  NormHeads(c.ex, w.k_norm, a.k);
  RopeAndWriteKv(c.ex, c.rope, {a.q, a.k, a.v, c.positions, c.slots, c.scale}, c.kv,
                 RotatedQueries(c, a));
  Attention(c.ex, CausalAttention(c, runs, a), a.attn, a.lse);  // [T, H·d]
  LinearAddOverRanks(c.ex, a.attn, w.out, a.n, a.x);            // x   += attn·Woᵀ
  FeedForward(c.ex, w, a);                                      // x   += ffn
}

// The visual rows of a composite layer have keys and values for the text to look at, and no query.
//   k = Wk n, v = Wv n    n = N₁(x)
void VisualKeysAndValues(Exec& ex, const LlamaBlockWeights& w, const DecoderActivations::Rows& a) {
  const TensorView n = RowsInto(w.kv, a.n);
  RmsNorm(ex, a.x, w.attn_norm, n);  // n    [Tv, D]
  Linear(ex, n, w.kv, a.kv);         // k, v [Tv, K·d]
  NormHeads(ex, w.k_norm, a.k);
}

// x' = x + Wo·Wv·N₁(x): stock attention for a row that sees only itself, whose softmax is 1. `out` is Wo for values that query heads share.
void AlignVo(Exec& ex, const LinearWeights& out, const DecoderActivations::Rows& a) {
  LinearAddOverRanks(ex, a.v, out, a.n, a.x);  // x += v·Woᵀ
}

// x' = x + Wo·Wv·N₁(x);  x'' = x' + FFN(N₂(x'))
void AlignVoFfn(Exec& ex, const LlamaBlockWeights& w, const LinearWeights& out,
                const DecoderActivations::Rows& a) {
  AlignVo(ex, out, a);
  FeedForward(ex, w, a);
}

// Of what ranks do together: commands that only wait would go with the first later one that cannot begin, and their sums with them.
void BeginOnDevice(Exec& ex, const DecoderActivations& a) {
  if (a.x.on_cuda()) ex.cuda().Flush();
}

LlamaBlockWeights BindBlock(const LlamaConfig& c, WeightBinder b, const std::string& why) {
  const auto bias_if = [](bool present) { return present ? Bias::kPresent : Bias::kAbsent; };
  const Bias qkv = bias_if(c.qkv_bias), out = bias_if(c.out_bias), mlp = bias_if(c.mlp_bias);
  const RowOrder order{.interleaved_head = c.interleaved_qk ? c.head_dim : 0};
  const auto head_norm = [&](const char* name) {
    return c.qk_norm ? std::optional(b.RmsNorm(name, c.head_dim, c.epsilon, why)) : std::nullopt;
  };
  // Of all ranks.
  const int64_t q_rows = c.share.ranks * c.heads * c.head_dim;
  const int64_t kv_rows = WholeKvHeads(c) * c.head_dim;
  const int64_t ff_rows = c.share.ranks * c.ff_width;
  const Division rows = ByRows(c.share), columns = ByColumns(c.share);
  const auto added = [&](const char* name) {
    return WeightBinder::Rows{.name = name, .n = c.width, .scale = c.residual_multiplier};
  };
  b.Ignore("self_attn.rotary_emb.inv_freq");
  return {
      .attn_norm = b.RmsNorm("input_layernorm", c.width, c.epsilon, why),
      .q = b.DividedLinear(rows, {{"self_attn.q_proj", q_rows, order}}, c.width, qkv, why),
      .kv = b.DividedLinear(ByKvRows(c.share),
                            {{"self_attn.k_proj", kv_rows, order}, {"self_attn.v_proj", kv_rows}},
                            c.width, qkv, why),
      .q_norm = head_norm("self_attn.q_norm"),
      .k_norm = head_norm("self_attn.k_norm"),
      .out = b.DividedLinear(columns, {added("self_attn.o_proj")}, q_rows, out, why),
      .ffn_norm = b.RmsNorm("post_attention_layernorm", c.width, c.epsilon, why),
      .gate_up = b.DividedLinear(rows, {{"mlp.gate_proj", ff_rows}, {"mlp.up_proj", ff_rows}},
                                 c.width, mlp, why),
      .down = b.DividedLinear(columns, {added("mlp.down_proj")}, ff_rows, mlp, why)};
}

}  // namespace

LlamaWeights BindLlama(const LlamaConfig& c, WeightBinder b) {
  const std::string why =
      internal::Concat("hidden_size=", c.width, ", intermediate_size=", c.ff_width * c.share.ranks,
                       ", heads ", c.heads * c.share.ranks, "/", WholeKvHeads(c), " of ",
                       c.head_dim, ", vocab_size=", c.vocabulary);
  LlamaWeights w;
  if (c.share.leads())
    w.embeddings = b.Stored("model.embed_tokens.weight", {c.vocabulary, c.width}, why);
  for (int64_t l = 0; l < c.layers; ++l)
    w.blocks.push_back(BindBlock(c, b.Under("model.layers." + std::to_string(l) + "."), why));
  if (!c.share.leads()) {
    for (const char* of_rank_zero :
         {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"})
      b.Ignore(of_rank_zero);
    return w;
  }
  w.norm = b.RmsNorm("model.norm", c.width, c.epsilon, why);
  if (c.tied_head) b.Ignore("lm_head.weight");
  w.head = b.Linear({{.name = c.tied_head ? "model.embed_tokens" : "lm_head",
                      .n = c.vocabulary,
                      .scale = 1 / c.logits_scaling}},
                    c.width, Bias::kAbsent, why);
  return w;
}

DecoderActivations::DecoderActivations(const LlamaConfig& c, int64_t rows, int64_t logit_row_count,
                                       Place place)
    : max_rows(rows),
      max_logit_rows(logit_row_count),
      x(Tensor::CommittedF32({rows, c.width}, "decoder.x", place)),
      n(Tensor::CommittedF32({rows, c.width}, "decoder.n", place)),
      q(Tensor::CommittedF32({rows, c.heads * c.head_dim}, "decoder.q", place)),
      kv(Tensor::CommittedF32({rows, 2 * c.kv_heads * c.head_dim}, "decoder.kv", place)),
      attn(Tensor::CommittedF32({rows, c.heads * c.head_dim}, "decoder.attn", place)),
      rotated(place.cuda == nullptr
                  ? Tensor()
                  : Tensor(DType::kBF16, {rows, c.heads * c.head_dim}, "decoder.rotated", place)),
      lse(Tensor::CommittedF32({rows, c.heads}, "decoder.lse", place)),
      // Left alone by SwiGlu with compact weights.
      gate_up(Tensor::F32({rows, 2 * c.ff_width}, "decoder.gate_up", place)),
      ff(Tensor::CommittedF32({rows, c.ff_width}, "decoder.ff", place)),
      logit_rows(Tensor::CommittedF32({logit_row_count, c.width}, "decoder.logit_rows", place)),
      logits(Tensor::CommittedF32({logit_row_count, c.vocabulary}, "decoder.logits")),
      device_logits(place.cuda == nullptr
                        ? Tensor()
                        : Tensor::F32({logit_row_count, c.vocabulary}, "decoder.logits", place)) {}

int64_t DecoderActivations::Bytes(const LlamaConfig& c, int64_t rows, int64_t logit_row_count,
                                  Device device) {
  const bool gate_up = device == Device::kCuda || !SwiGluInPanels(c.layer_kind, 2 * c.ff_width);
  const int64_t per_row = 2 * c.width + 2 * c.heads * c.head_dim + 2 * c.kv_heads * c.head_dim +
                          c.heads + (gate_up ? 3 : 1) * c.ff_width;
  const int64_t rotated = device == Device::kCuda ? 2 * c.heads * c.head_dim : 0;
  return rows * (4 * per_row + rotated) + 4 * logit_row_count * (c.width + c.vocabulary);
}

DecoderActivations::Rows DecoderActivations::Slice(int64_t begin, int64_t end) const {
  const auto rows = [&](const Tensor& t) { return t.view().Rows(begin, end); };
  const int64_t half = kv.dim(1) / 2;
  return {.x = rows(x),
          .n = rows(n),
          .q = rows(q),
          .kv = rows(kv),
          .k = rows(kv).Columns(0, half),
          .v = rows(kv).Columns(half, 2 * half),
          .attn = rows(attn),
          .rotated = rotated.empty() ? TensorView() : rows(rotated),
          .lse = rows(lse),
          .gate_up = rows(gate_up),
          .ff = rows(ff)};
}

LlamaDecoder::LlamaDecoder(Exec& ex, const LlamaConfig& config, LlamaWeights weights,
                           LayerPlan plan, int64_t max_positions)
    : config_(config),
      weights_(std::move(weights)),
      plan_(std::move(plan)),
      rope_(RopeTable::Make(config.head_dim, config.rope, max_positions).On(ex)),
      rope_by_frequency_(rope_.cos.on_cuda() ? RopeTable() : rope_.ByFrequency()),
      grouped_outs_(config.layers, config.kv_heads, config.head_dim) {
  BINOCLE_CHECK(static_cast<int64_t>(plan_.kinds.size()) == config_.layers, plan_.kinds.size());
}

bool LayerPlan::Has(LayerKind kind) const {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

void LlamaDecoder::PrepareAligner(Exec& ex) const {
  if (plan_.aligner == Aligner::kNone) return;
  for (int64_t l = 0; l < config_.layers; ++l)
    if (plan_.kinds[static_cast<size_t>(l)] == LayerKind::kComposite)
      grouped_outs_.Of(ex, l, weights_.blocks[static_cast<size_t>(l)].out);
}

// From one composite layer's visual tokens to the next one's. a.v holds this layer's values.
void LlamaDecoder::Align(Aligner aligner, Exec& ex, int64_t layer,
                         const DecoderActivations::Rows& a) const {
  if (aligner == Aligner::kNone) return;
  const LlamaBlockWeights& w = weights_.blocks[static_cast<size_t>(layer)];
  const LinearWeights& out = grouped_outs_.Of(ex, layer, w.out);
  if (aligner == Aligner::kVo) return AlignVo(ex, out, a);
  AlignVoFfn(ex, w, out, a);
}

void LlamaDecoder::CompositeVisual(Exec& ex, const DecoderBatch& batch, Aligner aligner,
                                   int64_t layer, const KvLayer& kv,
                                   const DecoderActivations::Rows& a) const {
  const auto text = static_cast<size_t>(batch.text_rows);
  VisualKeysAndValues(ex, weights_.blocks[static_cast<size_t>(layer)], a);
  Rope(ex, rope_, batch.positions.subspan(text), a.k);
  WriteKv(ex, a.k, a.v, batch.slots.subspan(text), kv);
  Align(aligner, ex, layer, a);
}

void LlamaDecoder::Embed(Exec& ex, std::span<const int32_t> ids, const TensorView& rows) const {
  EmbeddingRows(ex, weights_.embeddings.view, ids, rows);
}

void LlamaDecoder::ScaleEntering(Exec& ex, const TensorView& x) const {
  if (config_.embedding_multiplier != 1) ScaleRows(ex, x, config_.embedding_multiplier);
}

void LlamaDecoder::Forward(Exec& ex, const DecoderBatch& batch, KvPool& pool,
                           DecoderActivations& a) const {
  BINOCLE_CHECK(batch.rows() <= a.max_rows && batch.text_rows <= batch.rows(), batch.rows(), " of ",
                a.max_rows);
  if (leader_ == nullptr) return AllLayers(ex, batch, pool, a);
  leader_->Forward(batch, [&] {
    AllLayers(ex, batch, pool, a);
    BeginOnDevice(ex, a);
  });
}

void LlamaDecoder::AllLayers(Exec& ex, const DecoderBatch& batch, KvPool& pool,
                             DecoderActivations& a) const {
  const int64_t rows = batch.rows();
  const LayerPlan& plan = batch.plan != nullptr ? *batch.plan : plan_;
  const auto text = static_cast<size_t>(batch.text_rows);
  const DecoderActivations::Rows all = a.Slice(0, rows);
  const DecoderActivations::Rows text_rows = a.Slice(0, batch.text_rows);
  const DecoderActivations::Rows visual_rows = a.Slice(batch.text_rows, rows);
  const float scale =
      config_.attention_multiplier.value_or(1.0F / std::sqrt(static_cast<float>(config_.head_dim)));
  TakeFromRankZero(ex, all.x);
  ScaleEntering(ex, all.x);
  for (int64_t l = 0; l < config_.layers; ++l) {
    const LlamaBlockWeights& w = weights_.blocks[static_cast<size_t>(l)];
    const auto context = [&](size_t count) {
      return LayerContext{
          .ex = ex,
          .rope = rope_,
          .kv = pool.layer(l),
          .scale = scale,
          .window = config_.windows.empty() ? 0 : config_.windows[static_cast<size_t>(l)],
          .positions = batch.positions.first(count),
          .slots = batch.slots.first(count)};
    };
    const LayerContext everything = context(static_cast<size_t>(rows));
    const bool stock = plan.kinds[static_cast<size_t>(l)] == LayerKind::kStock;
    const LayerRuns runs = batch.hooks == nullptr ? LayerRuns{batch.text_runs, batch.runs}
                                                  : batch.hooks->Enter(l, batch, all.x);
    if (stock) {
      DecoderBlock(everything, w, runs.all, all);
    } else {
      if (batch.text_rows < rows)
        CompositeVisual(ex, batch, plan.aligner, l, pool.layer(l), visual_rows);
      if (batch.text_rows > 0) DecoderBlock(context(text), w, runs.text, text_rows);
    }
    if (batch.hooks != nullptr) {
      const std::span<const QueryRun> asked = stock ? runs.all : runs.text;
      batch.hooks->Attended(l, CausalAttention(everything, asked, all), all.lse);
    }
  }
}

void LlamaDecoder::EncodeImage(Exec& ex, const ImageToEncode& from, const ImageWatch& watch,
                               DecoderActivations& a, ImageKv& image) const {
  if (leader_ == nullptr) return ThroughLayers(ex, from, watch, a, image);
  std::shared_ptr<const ImageOfOthers> others = leader_->EncodeImage(from, [&] {
    ThroughLayers(ex, from, watch, a, image);
    BeginOnDevice(ex, a);
  });
  image.others = std::move(others);
}

void LlamaDecoder::ThroughLayers(Exec& ex, const ImageToEncode& from, const ImageWatch& watch,
                                 DecoderActivations& a, ImageKv& image) const {
  const int64_t tokens = from.visual.dim(0);
  const auto layers = static_cast<size_t>(config_.layers);
  const int64_t floats = KeptKv::Floats(config_.kv_heads, config_.head_dim, tokens);
  image = {.memory = Tensor::F32({config_.layers, floats}, "image.kv", ex.place()),
           .layers = {},
           .last = Tensor::F32({1, config_.width}, "image.last", ex.place()),
           .sink_dims = watch.dims,
           .sinks = watch.dims.empty()
                        ? Tensor()
                        : Tensor::F32({config_.layers, 2 * tokens}, "image.sinks", ex.place()),
           .others = nullptr};
  for (size_t l = 0; l < layers; ++l) {
    image.layers.push_back(KeptKv::In(image.memory.row(static_cast<int64_t>(l)), config_.kv_heads,
                                      config_.head_dim, tokens, image.memory.view().device()));
  }
  for (int64_t begin = 0; begin < tokens; begin += a.max_rows) {
    const int64_t end = std::min(begin + a.max_rows, tokens);
    const DecoderActivations::Rows rows = a.Slice(0, end - begin);
    if (!from.visual.empty()) CopyRows(ex, from.visual.Rows(begin, end), rows.x);
    TakeFromRankZero(ex, rows.x);
    ScaleEntering(ex, rows.x);
    for (size_t l = 0; l < layers; ++l) {
      const LlamaBlockWeights& w = weights_.blocks[l];
      if (watch.inputs != nullptr)
        ShowInput(ex, *watch.inputs, static_cast<int64_t>(l), watch.first_position + begin, rows.x);
      if (!watch.dims.empty())
        ScoreSinks(ex, rows.x, watch.dims, image.SinksOf(static_cast<int64_t>(l)).Rows(begin, end));
      VisualKeysAndValues(ex, w, rows);
      image.layers[l].Store(ex, rows.k, rows.v, begin);
      Align(from.aligner, ex, static_cast<int64_t>(l), rows);
    }
    CopyRows(ex, rows.x.Rows(end - begin - 1, end - begin), image.last);
  }
}

void LlamaDecoder::PlaceImage(Exec& ex, const ImageKv& image, int64_t first_position, KvPool& pool,
                              const KvSequence& sequence) const {
  if (leader_ != nullptr) leader_->PlaceImage(*image.others, first_position, sequence);
  PlaceKv(ex, image.layers, rope_.cos.on_cuda() ? rope_ : rope_by_frequency_, first_position, pool,
          sequence);
}

void LlamaDecoder::FinalNorm(Exec& ex, const TensorView& x, const TensorView& out) const {
  if (ex.place().cuda != nullptr && !out.on_cuda()) {
    Tensor copy;
    const Tensor normed = Tensor::F32(out.shape(), out.name(), ex.place());
    RmsNorm(ex, AtPlace(ex, x, copy), weights_.norm, normed);
    return CopyRows(ex, normed, out);
  }
  RmsNorm(ex, x, weights_.norm, out);
}

TensorView LlamaDecoder::Logits(Exec& ex, std::span<const int64_t> rows,
                                DecoderActivations& a) const {
  const auto count = static_cast<int64_t>(rows.size());
  BINOCLE_CHECK(count <= a.max_logit_rows, count, " of ", a.max_logit_rows);
  const TensorView normed = a.logit_rows.view().Rows(0, count);
  EmbeddingRows(ex, a.x, std::vector<int32_t>(rows.begin(), rows.end()), normed);
  FinalNorm(ex, normed, normed);
  const TensorView logits = (a.x.on_cuda() ? a.device_logits : a.logits).view().Rows(0, count);
  Linear(ex, normed, weights_.head, logits);
  return logits;
}

}  // namespace binocle
