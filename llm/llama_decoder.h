// The LLaMA decoder over paged keys and values, with stock and composite layers.
//
// A batch is a set of rows of one or more sequences. Text rows come first, visual rows after them; a row's place in its sequence is
// its position, not its place in the batch. In a stock layer both kinds are treated alike. In a composite layer (EE-MLLM) text rows
// are ordinary, while visual rows issue no queries: they write their keys and values and go on through the aligner.
//
//   T rows in the batch, Tt of them text, Tv visual; D width, H query heads, K kv heads, d head width, F ffn width, V vocabulary.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "attention/attention.h"
#include "attention/kv_pages.h"
#include "binocle/attention.h"
#include "core/exec.h"
#include "core/ops/rope.h"
#include "core/weights.h"
#include "llm/grouped_out.h"
#include "llm/image_kv.h"
#include "llm/layer_input_observer.h"
#include "llm/llama_config.h"

namespace binocle {

enum class LayerKind : uint8_t { kStock, kComposite };

// Per layer: stock or composite. Decides what happens to visual rows; text rows are the same under every plan.
struct LayerPlan {
  std::vector<LayerKind> kinds;  // [L]
  Aligner aligner = Aligner::kVo;

  bool Has(LayerKind kind) const;
  // Whether visual tokens depend on their image alone, so that it can be encoded apart from any prompt.
  bool images_stand_alone() const { return !Has(LayerKind::kStock); }
  bool operator==(const LayerPlan&) const = default;

  static LayerPlan Stock(int64_t layers) {
    return {.kinds = std::vector(static_cast<size_t>(layers), LayerKind::kStock)};
  }
};

struct LlamaBlockWeights {
  RmsNormWeights attn_norm;
  LinearWeights q;  // [H·d, D]
  LinearWeights
      kv;  // [2K·d, D]: apart from q, since visual rows of composite layers need only these
  std::optional<RmsNormWeights> q_norm, k_norm;  // [d], where the model has them
  LinearWeights out;                             // [D, H·d]
  RmsNormWeights ffn_norm;
  LinearWeights gate_up;  // [2F, D]
  LinearWeights down;     // [D, F]
};

struct LlamaWeights {
  WeightBinder::Table embeddings;  // [V, D] as stored
  std::vector<LlamaBlockWeights> blocks;
  RmsNormWeights norm;
  LinearWeights head;  // [V, D]
};

// Names below `binder` are those of LlamaForCausalLM: model.embed_tokens.weight, model.layers.N.…, lm_head.weight.
LlamaWeights BindLlama(const LlamaConfig& config, WeightBinder binder);

class DecoderHooks;

struct DecoderBatch {
  int64_t text_rows = 0;                  // Tt: rows [0, Tt) are text, [Tt, T) visual
  std::span<const int32_t> positions;     // [T]
  std::span<const int32_t> slots;         // [T] where each row's key and value go
  std::span<const QueryRun> text_runs;    // rows [0, Tt)
  std::span<const QueryRun> visual_runs;  // rows [Tt, T)
  std::span<const QueryRun> runs;         // both
  DecoderHooks* hooks = nullptr;
  const LayerPlan* plan = nullptr;  // of the visual rows; nullptr: the decoder's own

  int64_t rows() const { return static_cast<int64_t>(positions.size()); }
};

// Buffers for up to max_rows rows, allocated once. A forward pass writes only here and into the KV pages.
struct DecoderActivations {
  DecoderActivations(const LlamaConfig& config, int64_t max_rows, int64_t max_logit_rows,
                     Place place = {});
  // What passes will touch of them.
  static int64_t Bytes(const LlamaConfig& config, int64_t max_rows, int64_t max_logit_rows,
                       Device device = Device::kCpu);

  // Views of the first `rows` rows of every buffer.
  struct Rows {
    TensorView x;        // [T, D]
    TensorView n;        // [T, D]
    TensorView q;        // [T, H·d]
    TensorView kv;       // [T, 2K·d]
    TensorView k, v;     // [T, K·d] halves of kv
    TensorView attn;     // [T, H·d]
    TensorView rotated;  // [T, H·d] bf16, on a GPU
    TensorView lse;      // [T, H]
    TensorView gate_up;  // [T, 2F]
    TensorView ff;       // [T, F]
  };
  Rows Slice(int64_t begin, int64_t end) const;

  int64_t max_rows;
  int64_t max_logit_rows;
  Tensor x, n, q, kv, attn, rotated, lse, gate_up, ff;
  Tensor logit_rows;     // [R, D]
  Tensor logits;         // [R, V], of the host
  Tensor device_logits;  // [R, V] on their way there from a GPU
};

// The runs of one layer: those of the batch, or cut into pieces with variants and segment policies of their own.
struct LayerRuns {
  std::span<const QueryRun> text;  // rows [0, Tt)
  std::span<const QueryRun> all;   // rows [0, T)
};

// Watches or changes a forward pass from outside (llm/sequence_watch.h). Where nobody does it costs one null check per layer.
class DecoderHooks {
 public:
  virtual ~DecoderHooks() = default;
  // x [T, D] is about to enter `layer`.
  virtual LayerRuns Enter(int64_t layer, const DecoderBatch& batch, const TensorView& x) = 0;
  // The layer's attention has run; lse [T, H].
  virtual void Attended(int64_t layer, const AttentionArgs& args, const TensorView& lse) = 0;
};

// What is noted while an image is encoded apart.
struct ImageWatch {
  SinkDims dims;                         // score its tokens with these; empty: no scores
  LayerInputObserver* inputs = nullptr;  // sees its tokens enter each layer
  int64_t first_position = 0;            // where `inputs` is told that they are
};

struct ImageToEncode {
  TensorView visual;  // [n, D]; of a rank that is not 0 a shape without memory
  Aligner aligner = Aligner::kVo;
};

class DecoderLeader;

// Weights and a plan for batches that bring none of their own.
class LlamaDecoder {
 public:
  LlamaDecoder(Exec& ex, const LlamaConfig& config, LlamaWeights weights, LayerPlan plan,
               int64_t max_positions);

  const LlamaConfig& config() const { return config_; }
  const LlamaWeights& weights() const { return weights_; }
  LlamaWeights TakeWeights() && { return std::move(weights_); }
  const LayerPlan& plan() const { return plan_; }
  int64_t max_positions() const { return rope_.cos.dim(0); }

  // Of rank 0: tells the others what to do, from here on and as long as passes are made. They call what follows as they are told (llm/decoder_follower.h).
  void Lead(DecoderLeader* leader) { leader_ = leader; }

  // What the plan's composite layers need and the files do not have, so that the first picture does not wait for it.
  void PrepareAligner(Exec& ex) const;

  // ids [n] -> rows [n, D] of the table. What multiplies them, and visual tokens, multiplies all rows on their way into the first layer.
  void Embed(Exec& ex, std::span<const int32_t> ids, const TensorView& rows) const;

  // An image's way through all layers, composite ones, without a prompt: for sequences whose images stand alone.
  void EncodeImage(Exec& ex, const ImageToEncode& from, const ImageWatch& watch,
                   DecoderActivations& a, ImageKv& image) const;
  // Puts an image's keys, rotated, and values at positions [first_position, +n) of a sequence.
  void PlaceImage(Exec& ex, const ImageKv& image, int64_t first_position, KvPool& pool,
                  const KvSequence& sequence) const;

  // Takes a.x[0, T) through all layers, in place, and writes keys and values into `pool`.
  void Forward(Exec& ex, const DecoderBatch& batch, KvPool& pool, DecoderActivations& a) const;

  // out = norm(x), the states that the head reads. x, out [n, D].
  void FinalNorm(Exec& ex, const TensorView& x, const TensorView& out) const;

  // Logits of rows: head(norm(a.x[rows[i]])), divided as the configuration says. [R, V] where the model is: a.logits, or a.device_logits.
  TensorView Logits(Exec& ex, std::span<const int64_t> rows, DecoderActivations& a) const;

 private:
  void AllLayers(Exec& ex, const DecoderBatch& batch, KvPool& pool, DecoderActivations& a) const;
  void ThroughLayers(Exec& ex, const ImageToEncode& from, const ImageWatch& watch,
                     DecoderActivations& a, ImageKv& image) const;
  void ScaleEntering(Exec& ex, const TensorView& x) const;
  void CompositeVisual(Exec& ex, const DecoderBatch& batch, Aligner aligner, int64_t layer,
                       const KvLayer& kv, const DecoderActivations::Rows& a) const;
  void Align(Aligner aligner, Exec& ex, int64_t layer, const DecoderActivations::Rows& a) const;

  LlamaConfig config_;
  LlamaWeights weights_;
  LayerPlan plan_;
  RopeTable rope_;
  RopeTable rope_by_frequency_;  // for images that stand alone
  GroupedOuts grouped_outs_;
  DecoderLeader* leader_ = nullptr;
};

}  // namespace binocle
