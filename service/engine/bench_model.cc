#include "service/engine/bench_model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "service/engine/bench_rounds.h"
#include "service/engine/forward_rows.h"

namespace binocle {
namespace {

constexpr int64_t kChunkRows = 512;
constexpr int64_t kSequences = 8;        // every contender's, side by side while they decode
constexpr int64_t kDecodeSteps = 8;      // of each contender in a round
constexpr int64_t kVisualSinks = 4;      // of the picture
constexpr int64_t kTextSinkDim = 3;      // where the first token is massive
constexpr int64_t kVisualSinkDim = 57;   // where the picture's sinks are
constexpr double kSinkSize = 2.2;        // × √D; φ stays near 0.9·√D through all layers
constexpr double kTauShare = 20.0 / 64;  // of √D, as published

// Independent numbers of variance `scale`², in parallel and the same on every run.
void Randomize(Exec& ex, double scale, uint64_t seed, const TensorView& t) {
  constexpr int64_t kPiece = int64_t{1} << 16;
  const auto factor = static_cast<float>(scale * std::sqrt(3.0) / 2147483648.0);
  float* out = t.f32();
  const int64_t count = t.elements();
  ex.Parallel((count + kPiece - 1) / kPiece, [&](int64_t piece) {
    uint64_t state = (seed * 0x9E3779B97F4A7C15 + static_cast<uint64_t>(piece)) | 1;
    for (int64_t i = piece * kPiece; i < std::min(count, (piece + 1) * kPiece); ++i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      out[i] = factor * static_cast<float>(static_cast<int32_t>(state >> 32));
    }
  });
}

// An [n, k] matrix as Linear holds it: its elements are random, so their order does not matter.
LinearWeights RandomLinear(Exec& ex, int64_t n, int64_t k, double scale, uint64_t seed) {
  LinearWeights w{.packed = {}, .bias = {}, .n = n, .k = k};
  w.packed = Tensor::F32({(k + 15) / 16 * 16, w.panels() * kPanelWidth}, "random");
  Randomize(ex, scale / std::sqrt(static_cast<double>(k)), seed, w.packed);
  return w;
}

RmsNormWeights Ones(int64_t width, float epsilon) {
  RmsNormWeights w{.weight = Tensor::F32({width}), .epsilon = epsilon};
  std::fill_n(w.weight.f32(), width, 1.0F);
  return w;
}

// Residual branches are small enough that the stream doubles its variance over all layers.
LlamaWeights RandomLlama(Exec& ex, const LlamaConfig& c, const TensorView& embeddings) {
  LlamaWeights w;
  w.embeddings.view = embeddings;
  const double branch = 1 / std::sqrt(2.0 * static_cast<double>(c.layers));
  const int64_t q_width = c.heads * c.head_dim;
  uint64_t seed = 1;
  for (int64_t l = 0; l < c.layers; ++l) {
    w.blocks.push_back({.attn_norm = Ones(c.width, c.epsilon),
                        .q = RandomLinear(ex, q_width, c.width, 1, ++seed),
                        .kv = RandomLinear(ex, 2 * c.kv_heads * c.head_dim, c.width, 1, ++seed),
                        .out = RandomLinear(ex, c.width, q_width, branch, ++seed),
                        .ffn_norm = Ones(c.width, c.epsilon),
                        .gate_up = RandomLinear(ex, 2 * c.ff_width, c.width, 1, ++seed),
                        .down = RandomLinear(ex, c.width, c.ff_width, branch, ++seed)});
  }
  w.norm = Ones(c.width, c.epsilon);
  w.head = RandomLinear(ex, c.vocabulary, c.width, 1, ++seed);
  return w;
}

int64_t Parameters(const LlamaConfig& c) {
  const int64_t q_width = c.heads * c.head_dim;
  const int64_t per_layer = 2 * c.width * q_width + 2 * c.width * c.kv_heads * c.head_dim +
                            3 * c.width * c.ff_width + 2 * c.width;
  return c.layers * per_layer + c.width + 2 * c.vocabulary * c.width;
}

LayerPlan Composite(int64_t layers) {
  return {.kinds = std::vector(static_cast<size_t>(layers), LayerKind::kComposite)};
}

// Recomputes the weights of one layer's rows, in every head.
class Tap : public RowObserver {
 public:
  Tap(int64_t layer, int64_t heads) : layer_(layer), weights_(static_cast<size_t>(heads), 1.0F) {}
  void Row(int64_t layer, const MapRow& row) override {
    if (layer != layer_) return;
    map_.assign(static_cast<size_t>(row.run.keys), 0);
    scratch_.resize(map_.size());
    AddAttentionMap(row, weights_, scratch_, map_);
  }

 private:
  int64_t layer_;
  std::vector<float> weights_, scratch_, map_;
};

class Bench {
 public:
  Bench(Exec& ex, const ModelBenchPlan& plan)
      : ex_(ex),
        plan_(plan),
        config_(BenchShape(plan.shape)),
        prompt_tokens_(plan.visual_tokens + plan.text_tokens),
        embeddings_(Tensor::F32({config_.vocabulary, config_.width}, "embeddings")),
        pool_(config_.layers, config_.kv_heads, config_.head_dim,
              kSequences * PagesFor(prompt_tokens_ + 1), config_.kv_dtype),
        activations_(config_, kChunkRows, 1),
        tap_(config_.layers / 2, config_.heads) {
    Randomize(ex, 1, 1000, embeddings_);
    const auto massive =
        static_cast<float>(kSinkSize * std::sqrt(static_cast<double>(config_.width)));
    embeddings_.row(1)[kTextSinkDim] = massive;
    image_ = std::make_shared<EncodedImage>();
    image_->visual = Tensor::F32({plan.visual_tokens, config_.width}, "visual");
    Randomize(ex, 1, 2000, image_->visual);
    for (int64_t i = 0; i < kVisualSinks; ++i)
      image_->visual.row((2 * i + 1) * plan.visual_tokens / (2 * kVisualSinks))[kVisualSinkDim] =
          massive;
    // The first token, the picture, the other text: as many rows as can be see the picture.
    text_.ids.push_back(1);
    for (int64_t i = 1; i < plan.text_tokens; ++i)
      text_.ids.push_back(static_cast<int32_t>(2 + i * 17 % (config_.vocabulary - 2)));
    prompt_ = text_;
    prompt_.ids.insert(prompt_.ids.begin() + 1, static_cast<size_t>(plan.visual_tokens), 0);
    prompt_.images.push_back({.first_position = 1, .tokens = plan.visual_tokens, .image = 0});
  }

  ModelBench Run(const std::function<void(const std::string&)>& on_step) {
    const auto step = [&](const std::string& what) {
      if (on_step) on_step(plan_.shape + ": " + what);
    };
    step("random weights");
    ModelBench out{.shape = plan_.shape,
                   .parameters = Parameters(config_),
                   .layers = config_.layers,
                   .visual_tokens = plan_.visual_tokens,
                   .text_tokens = plan_.text_tokens};
    decoder_ = std::make_unique<LlamaDecoder>(ex_, config_, RandomLlama(ex_, config_, embeddings_),
                                              LayerPlan::Stock(config_.layers), prompt_tokens_ + 1);
    step("prefill");
    Prefills(out);
    step("decode");
    Decodes(out);
    out.sinks = FewestSinks();
    step("composite attention");
    LlamaWeights weights = std::move(*decoder_).TakeWeights();
    decoder_ = std::make_unique<LlamaDecoder>(ex_, config_, std::move(weights),
                                              Composite(config_.layers), prompt_tokens_ + 1);
    Composites(out);
    return out;
  }

 private:
  ForwardContext context() { return {ex_, *decoder_, pool_, activations_}; }

  // The watches of the contenders; "plain" has none.
  struct Watched {
    std::string name;
    WatchPlan plan;
    bool attached = true;
    RowObserver* tap = nullptr;
  };
  std::vector<Watched> Watches() {
    const LayerRange all{0, config_.layers - 1};
    const SinkDims dims = {kTextSinkDim, kVisualSinkDim};
    const auto tau = static_cast<float>(kTauShare * std::sqrt(static_cast<double>(config_.width)));
    // Thresholds of 0: every head of every text row behind the picture is changed.
    WatchPlan var{.dims = dims, .tau = tau};
    var.var = VarPlan{.form = kPaperForm, .params = {.p = 0.6F}, .layers = all};
    WatchPlan modulate, pai, grounding{.dims = dims, .tau = tau};
    modulate.gain = GainPlan{.layers = all, .key_gain = std::vector<float>(prompt_.ids.size())};
    pai.gain = modulate.gain;
    for (int64_t i = 0; i < plan_.visual_tokens; ++i) {
      const auto at = static_cast<size_t>(1 + i);
      modulate.gain->key_gain[at] = i % 4 == 0 ? 0.7F : i % 16 == 1 ? 0.4F : 0.0F;
      pai.gain->key_gain[at] = 0.2F;
    }
    grounding.measure = all;
    return {{"plain", {}, false},    {"watched", {}}, {"var", var},
            {"modulate", modulate},  {"pai", pai},    {"grounding", grounding},
            {"tap", {}, true, &tap_}};
  }

  void Attach(const Watched& watched, RunningSequence& sequence) const {
    if (!watched.attached) return;
    sequence.watch = std::make_unique<SequenceWatch>(
        config_, watched.plan,
        SequenceWatch::Layout{.prompt_tokens = prompt_tokens_,
                              .capacity = prompt_tokens_ + 1,
                              .images = {{.first_position = 1, .tokens = plan_.visual_tokens}}});
    sequence.watch->set_observer(watched.tap);
  }

  void PrefillOnce(const Watched& watched) {
    RunningSequence sequence(pool_);
    Attach(watched, sequence);
    const SharedImage image = image_;
    ForwardAll(context(), {prompt_, {&image, 1}, {}, decoder_->plan()}, sequence);
  }

  void Add(const std::string& phase, const std::vector<Contender>& contenders,
           const std::vector<std::vector<double>>& seconds, ModelBench& out) const {
    for (size_t i = 0; i < contenders.size(); ++i) {
      out.timings.push_back({.contender = contenders[i].name,
                             .phase = phase,
                             .milliseconds = Scaled(SpreadOf(seconds[i]), 1000),
                             .ratio = SpreadOfRatio(seconds[i], seconds[0])});
    }
  }

  void Prefills(ModelBench& out) {
    std::vector<Contender> contenders;
    for (const Watched& watched : Watches())
      contenders.push_back({watched.name, [this, watched] { PrefillOnce(watched); }});
    Add("prefill", contenders, TimeInTurn(contenders, plan_.rounds, 0), out);
  }

  void DecodeOnce(RunningSequence& sequence) {
    constexpr int32_t kToken[] = {5};
    const SharedImage image = image_;
    ForwardAll(context(), {prompt_, {&image, 1}, kToken, decoder_->plan()}, sequence);
    sequence.kv.Truncate(prompt_tokens_);
    sequence.computed = prompt_tokens_;
  }

  // The same token at the same position again and again, a step of each contender at a time.
  void Decodes(ModelBench& out) {
    std::vector<std::unique_ptr<RunningSequence>> sequences;
    std::vector<Contender> contenders;
    for (const Watched& watched : Watches()) {
      sequences.push_back(std::make_unique<RunningSequence>(pool_));
      RunningSequence* sequence = sequences.back().get();
      Attach(watched, *sequence);
      const SharedImage image = image_;
      ForwardAll(context(), {prompt_, {&image, 1}, {}, decoder_->plan()}, *sequence);
      contenders.push_back({watched.name, [this, sequence] { DecodeOnce(*sequence); }});
    }
    Add("decode", contenders, TimeInTurn(contenders, plan_.rounds * kDecodeSteps, 0), out);
  }

  int64_t FewestSinks() {
    RunningSequence sequence(pool_);
    Attach(Watches().at(2), sequence);
    const SharedImage image = image_;
    ForwardAll(context(), {prompt_, {&image, 1}, {}, decoder_->plan()}, sequence);
    sequence.watch->FetchClasses(ex_);
    int64_t fewest = prompt_tokens_;
    for (int64_t l = 0; l < config_.layers; ++l) {
      const std::span<const uint8_t> classes = sequence.watch->classes(l);
      fewest = std::min<int64_t>(fewest, std::count_if(classes.begin(), classes.end(),
                                                       [](auto c) { return (c & kSinkKey) != 0; }));
    }
    return fewest;
  }

  // Time to the first token's logits: the text alone, with a picture that was asked about before, with one that was not.
  void Composites(ModelBench& out) {
    const auto encode = [this] {
      auto image = std::make_shared<EncodedImage>();
      decoder_->EncodeImage(ex_, {.visual = image_->visual, .aligner = decoder_->plan().aligner},
                            {}, activations_, image->kv.emplace());
      return image;
    };
    const SharedImage kept = encode();
    const auto ask = [this](const ExpandedPrompt& prompt, const SharedImage& image) {
      RunningSequence sequence(pool_);
      ForwardAll(context(), {prompt, {&image, 1}, {}, decoder_->plan()}, sequence);
    };
    const std::vector<Contender> contenders = {{"no_picture", [&] { ask(text_, nullptr); }},
                                               {"warm", [&] { ask(prompt_, kept); }},
                                               {"cold", [&] { ask(prompt_, encode()); }}};
    Add("prefill", contenders, TimeInTurn(contenders, plan_.rounds, 0), out);
  }

  Exec& ex_;
  ModelBenchPlan plan_;
  LlamaConfig config_;
  int64_t prompt_tokens_;
  Tensor embeddings_;  // [V, D]
  KvPool pool_;
  DecoderActivations activations_;
  std::unique_ptr<LlamaDecoder> decoder_;
  std::shared_ptr<EncodedImage> image_;
  ExpandedPrompt text_, prompt_;
  Tap tap_;
};

}  // namespace

LlamaConfig BenchShape(const std::string& name) {
  LlamaConfig c;
  if (name == "1.1b") {  // TinyLlama 1.1B
    c = {.width = 2048,
         .ff_width = 5632,
         .layers = 22,
         .heads = 32,
         .kv_heads = 4,
         .head_dim = 64,
         .vocabulary = 32000};
  } else {
    c = {.width = 128,
         .ff_width = 256,
         .layers = 3,
         .heads = 4,
         .kv_heads = 2,
         .head_dim = 32,
         .vocabulary = 500};
  }
  c.max_positions = 1 << 20;
  c.epsilon = 1e-5F;
  return c;
}

int64_t ModelBenchPlan::bytes() const {
  const LlamaConfig c = BenchShape(shape);
  const int64_t tokens = visual_tokens + text_tokens + 1;
  return 4 * Parameters(c) + DecoderActivations::Bytes(c, kChunkRows, 1) +
         KvPool::Bytes(c.layers, c.kv_heads, c.head_dim, kSequences * PagesFor(tokens), c.kv_dtype);
}

ModelBench BenchModel(Exec& ex, const ModelBenchPlan& plan,
                      const std::function<void(const std::string&)>& on_step) {
  return Bench(ex, plan).Run(on_step);
}

}  // namespace binocle
