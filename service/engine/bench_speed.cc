#include "binocle/bench_speed.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "core/machine_rates.h"
#include "core/vector_rate.h"
#include "service/engine/bench_rounds.h"
#include "service/engine/forward_rows.h"
#include "service/engine/load_options.h"
#include "service/engine/memory_plan.h"
#include "service/engine/model_summary.h"

namespace binocle {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 30;  // the model's own limit is less

using SpeedClock = std::chrono::steady_clock;

double MillisecondsFrom(SpeedClock::time_point start) {
  return std::chrono::duration<double, std::milli>(SpeedClock::now() - start).count();
}

void CheckRanges(const SpeedBenchOptions& o) {
  CheckOption("prompt_tokens", o.prompt_tokens, 0, 65536);
  CheckOption("text_tokens", o.text_tokens, 8, 65536);
  CheckOption("decode_tokens", o.decode_tokens, 1, 4096);
  CheckOption("rounds", o.rounds, 1, 1000);
  for (const int64_t batch : o.batches) CheckOption("batch", batch, 1, 64);
  for (const int64_t tokens : o.visual_tokens) CheckOption("visual_tokens", tokens, 1, 65536);
}

// With prompt_tokens chosen. Throws INVALID_ARGUMENT where the model has no room for what is asked.
SpeedBenchOptions Fitted(SpeedBenchOptions o, const ModelInfo& info) {
  constexpr int64_t kPrompt = 512;
  const int64_t room = info.context_tokens - o.decode_tokens;
  CheckOption("decode_tokens", o.decode_tokens, 1, info.context_tokens - 1);
  if (o.prompt_tokens == 0) o.prompt_tokens = std::min(kPrompt, room);
  CheckOption("prompt_tokens", o.prompt_tokens, 1, room);
  if (info.image_tokens > 0)
    CheckOption("text_tokens", o.text_tokens, 1, info.context_tokens - info.image_tokens);
  for (const int64_t tokens : o.visual_tokens)
    CheckOption("visual_tokens", tokens, 1, room - o.text_tokens);
  return o;
}

// A prompt of `tokens` ids that differ.
ExpandedPrompt TextPrompt(const LlamaConfig& c, int64_t tokens) {
  ExpandedPrompt prompt;
  for (int64_t i = 0; i < tokens; ++i)
    prompt.ids.push_back(static_cast<int32_t>(1 + i * 17 % (c.vocabulary - 1)));
  return prompt;
}

double MedianOf(std::vector<double> values) { return SpreadOf(std::move(values)).median; }

// The calls of one stage.
class StageTimes {
 public:
  explicit StageTimes(Exec& ex) : ex_(ex) {}

  void Time(const std::function<void()>& body) {
    OpClock clock;
    ex_.set_op_clock(&clock);
    const auto start = SpeedClock::now();
    body();
    ex_.Wait();
    milliseconds_.push_back(MillisecondsFrom(start));
    ex_.set_op_clock(nullptr);
    clocks_.push_back(clock);
  }

  // `steps` of what counts in each call.
  StageSpeed Result(std::string stage, int64_t batch, int64_t tokens, int64_t steps) const {
    StageSpeed out{.stage = std::move(stage), .batch = batch, .tokens = tokens};
    std::vector<double> each(milliseconds_.begin() + 1, milliseconds_.end());
    for (double& ms : each) ms /= static_cast<double>(steps);
    out.first_milliseconds = milliseconds_.front() / static_cast<double>(steps);
    std::vector<double> rates;
    for (const double ms : each) rates.push_back(static_cast<double>(tokens) * 1000 / ms);
    out.milliseconds = SpreadOf(each);
    out.tokens_per_second = SpreadOf(rates);
    AddOps(steps, out);
    return out;
  }

 private:
  void AddOps(int64_t steps, StageSpeed& out) const {
    double rest = out.milliseconds.median;
    for (size_t kind = 0; kind < kOpKinds; ++kind) {
      std::vector<double> ms;
      for (size_t i = 1; i < clocks_.size(); ++i)
        ms.push_back(clocks_[i].seconds[kind] * 1000 / static_cast<double>(steps));
      const double median = MedianOf(ms);
      if (clocks_[1].calls[kind] == 0) continue;
      rest -= median;
      out.ops.push_back({.op = std::string(OpKindName(static_cast<OpKind>(kind))),
                         .milliseconds = median,
                         .share = median / out.milliseconds.median,
                         .calls = clocks_[1].calls[kind] / steps});
    }
    out.ops.push_back(
        {.op = "other", .milliseconds = rest, .share = rest / out.milliseconds.median, .calls = 0});
  }

  Exec& ex_;
  std::vector<double> milliseconds_;  // the first call's, then the rounds'
  std::vector<OpClock> clocks_;
};

// Bytes of the language model's matrices: what a step of decoding reads.
int64_t MatrixBytes(const LlamaWeights& w) {
  const auto of = [](const LinearWeights& linear) {
    const CompactWeights& compact = linear.compact;
    int64_t bytes =
        compact.empty() ? linear.bytes() : CompactBytes(linear.n, linear.k, compact.kind);
    for (const StoredLinear& part : linear.in_place) bytes += part.weight.bytes();
    return bytes;
  };
  int64_t bytes = of(w.head);
  for (const LlamaBlockWeights& block : w.blocks)
    bytes += of(block.q) + of(block.kv) + of(block.out) + of(block.gate_up) + of(block.down);
  return bytes;
}

class Speed {
 public:
  Speed(Exec& ex, CheckedModel checked, int64_t rows, const SpeedBenchOptions& options)
      : ex_(ex),
        options_(options),
        model_(ex, std::move(checked), kMaxPositions),
        text_(model_.config().text),
        pool_(text_.layers, text_.kv_heads, text_.head_dim, Pages(), text_.kv_dtype, ex.place()),
        activations_(text_, rows, MostBatch(), ex.place()) {}

  const VlmModel& model() const { return model_; }

  void Run(const std::function<void(const std::string&)>& step, SpeedBench& out) {
    if (model_.config().takes_pictures()) {
      step("encode");
      out.stages.push_back(Encode());
    }
    step("prefill");
    out.stages.push_back(Prefill());
    ReadRate read(ex_);
    std::vector<double> rates;
    for (const int64_t batch : options_.batches) {
      step(internal::Concat("decode, ", batch, " at once"));
      out.stages.push_back(Decode(batch, read, rates));
    }
    out.read_rate = SpreadOf(rates);
    if (model_.config().takes_pictures()) {
      step("picture");
      Picture(out);
    }
    for (const int64_t visual : options_.visual_tokens) {
      step(internal::Concat(visual, " visual tokens"));
      Language(visual, out);
      for (const int64_t batch : options_.batches) out.stages.push_back(Questions(visual, batch));
    }
  }

 private:
  int64_t MostBatch() const {
    return options_.batches.empty()
               ? 1
               : *std::max_element(options_.batches.begin(), options_.batches.end());
  }
  int64_t PictureTokens() const {
    const ModelConfig& c = model_.config();
    return c.takes_pictures() ? PictureSide().tokens : 0;
  }
  PicturePlan PictureSide() const {
    constexpr int64_t kSide = 672;
    return model_.config().PlanPicture(kSide, kSide, Company::kAlone);
  }
  int64_t Pages() const {
    const int64_t text = PagesFor(options_.prompt_tokens + options_.decode_tokens + 1);
    int64_t visual = PictureTokens();
    for (const int64_t tokens : options_.visual_tokens) visual = std::max(visual, tokens);
    return MostBatch() * text +
           PagesFor(visual + std::max(options_.text_tokens, options_.decode_tokens) + 1);
  }
  ForwardContext context() { return {ex_, model_.decoder(), pool_, activations_}; }

  void Ask(const ExpandedPrompt& prompt, const SharedImage& image, RunningSequence& sequence) {
    const std::span<const SharedImage> images{&image,
                                              prompt.images.empty() ? size_t{0} : size_t{1}};
    ForwardAll(context(), {prompt, images, {}, model_.decoder().plan()}, sequence);
  }

  ModelPixels NoisyPixels() const {
    constexpr int64_t kSide = 672;
    Image image(kSide, kSide);
    for (size_t i = 0; i < image.rgb.size(); ++i)
      image.rgb[i] = static_cast<uint8_t>(static_cast<uint32_t>(i) * 2654435761u >> 24);
    return model_.Pixels(image, Company::kAlone);
  }

  StageSpeed Encode() {
    const ModelPixels pixels = NoisyPixels();
    Tensor visual = Tensor::F32({pixels.plan.tokens, text_.width}, "visual", ex_.place());
    StageTimes times(ex_);
    for (int64_t round = 0; round <= options_.rounds; ++round)
      times.Time([&] { model_.Encode(ex_, pixels, visual, {}); });
    return times.Result("encode", 1, pixels.plan.tokens, 1);
  }

  StageSpeed Prefill() {
    const ExpandedPrompt prompt = TextPrompt(text_, options_.prompt_tokens);
    StageTimes times(ex_);
    for (int64_t round = 0; round <= options_.rounds; ++round) {
      RunningSequence sequence(pool_);
      times.Time([&] { Ask(prompt, nullptr, sequence); });
    }
    return times.Result("prefill", 1, options_.prompt_tokens, 1);
  }

  using Sequences = std::vector<std::unique_ptr<RunningSequence>>;

  // decode_tokens steps of all sequences, which are behind the same prompt and are so again afterwards.
  void Steps(const ExpandedPrompt& prompt, std::span<const SharedImage> images,
             const LayerPlan& plan, const Sequences& sequences) {
    const int64_t behind = std::ssize(prompt.ids);
    std::vector<int32_t> answer;
    for (int64_t i = 0; i < options_.decode_tokens; ++i)
      answer.push_back(static_cast<int32_t>(1 + i * 31 % (text_.vocabulary - 1)));
    for (int64_t i = 0; i < options_.decode_tokens; ++i) {
      std::vector<SequenceRows> rows;
      for (const auto& sequence : sequences) {
        sequence->kv.Extend(1);
        rows.push_back({*sequence,
                        {prompt, images, std::span(answer).first(static_cast<size_t>(i + 1)), plan},
                        behind + i + 1});
      }
      ForwardRows(context(), rows);
    }
    for (const auto& sequence : sequences) {
      sequence->kv.Truncate(behind);
      sequence->computed = behind;
    }
  }

  // Sequences of the same prompt, each with keys and values of its own. Read rates measured in between are added to `all_rates`.
  StageSpeed Decode(int64_t batch, ReadRate& read, std::vector<double>& all_rates) {
    const ExpandedPrompt prompt = TextPrompt(text_, options_.prompt_tokens);
    Sequences sequences;
    for (int64_t b = 0; b < batch; ++b) {
      sequences.push_back(std::make_unique<RunningSequence>(pool_));
      Ask(prompt, nullptr, *sequences.back());
    }
    const auto steps = [&] { Steps(prompt, {}, model_.decoder().plan(), sequences); };
    StageTimes times(ex_);
    std::vector<double> rates;
    for (int64_t round = 0; round <= options_.rounds; ++round) {
      if (round > 0) rates.push_back(read.Measure());
      times.Time(steps);
    }
    StageSpeed stage = times.Result("decode", batch, batch, options_.decode_tokens);
    const double bytes = static_cast<double>(MatrixBytes(model_.decoder().weights()));
    const double per_second = bytes * 1000 / stage.milliseconds.median;
    stage.gigabytes_per_second = per_second / 1e9;
    stage.read_gigabytes_per_second = MedianOf(rates) / 1e9;
    stage.read_share = stage.gigabytes_per_second / stage.read_gigabytes_per_second;
    all_rates.insert(all_rates.end(), rates.begin(), rates.end());
    return stage;
  }

  void Picture(SpeedBench& out) {
    const ModelPixels pixels = NoisyPixels();
    const int64_t tokens = pixels.plan.tokens;
    const ExpandedPrompt prompt = PicturePrompt(tokens);
    const int64_t behind = prompt.images[0].first_position + tokens;
    SharedImage known;
    StageTimes first(ex_), again(ex_), second(ex_);
    for (int64_t round = 0; round <= options_.rounds; ++round) {
      {
        RunningSequence sequence(pool_);
        first.Time([&] {
          known = Encoded(pixels);
          Ask(prompt, known, sequence);
        });
      }
      RunningSequence sequence(pool_);
      again.Time([&] { Ask(prompt, known, sequence); });
      sequence.kv.Truncate(behind);
      sequence.computed = behind;
      second.Time([&] { Ask(prompt, known, sequence); });
    }
    const int64_t rows = std::ssize(prompt.ids);
    out.stages.push_back(first.Result("picture", 1, rows, 1));
    out.stages.push_back(again.Result("picture_again", 1, rows, 1));
    out.stages.push_back(second.Result("second_question", 1, rows - behind, 1));
  }

  ExpandedPrompt PicturePrompt(int64_t visual) const {
    ExpandedPrompt prompt = TextPrompt(text_, options_.text_tokens);
    prompt.ids.insert(prompt.ids.begin() + 1, static_cast<size_t>(visual), 0);
    prompt.images.push_back({.first_position = 1, .tokens = visual, .image = 0});
    return prompt;
  }

  // Numbers of about the size of a projector's.
  Tensor NoisyTokens(int64_t visual) const {
    Tensor tokens = Tensor::F32({visual, text_.width}, "visual");
    for (int64_t i = 0; i < tokens.view().elements(); ++i) {
      const auto bits = static_cast<uint32_t>(i) * 2654435761u >> 8;
      tokens.f32()[i] = static_cast<float>(bits) / (1 << 24) - 0.5F;
    }
    return tokens;
  }

  void Language(int64_t visual, SpeedBench& out) {
    const LayerPlan stock = LayerPlan::Stock(text_.layers);
    const LayerPlan composite{
        .kinds = std::vector(static_cast<size_t>(text_.layers), LayerKind::kComposite)};
    const ExpandedPrompt prompt = PicturePrompt(visual);
    StageTimes of_stock(ex_), of_composite(ex_);
    const auto run = [&](const LayerPlan& plan, StageTimes& times) {
      Tensor tokens = NoisyTokens(visual);
      RunningSequence sequence(pool_);
      times.Time([&] {
        const SharedImage image = Projected(std::move(tokens), plan);
        ForwardAll(context(), {prompt, {&image, 1}, {}, plan}, sequence);
      });
    };
    for (int64_t round = 0; round <= options_.rounds; ++round) {
      run(stock, of_stock);
      run(composite, of_composite);
    }
    for (const auto& [name, times] :
         {std::pair("language_stock", &of_stock), std::pair("language_composite", &of_composite)}) {
      StageSpeed stage = times->Result(name, 1, std::ssize(prompt.ids), 1);
      stage.visual_tokens = visual;
      out.stages.push_back(std::move(stage));
    }
  }

  // The picture's pages are one copy for all, as the engine's prefix index has them.
  StageSpeed Questions(int64_t visual, int64_t batch) {
    const LayerPlan plan = LayerPlan::Stock(text_.layers);
    const ExpandedPrompt prompt = PicturePrompt(visual);
    const SharedImage image = Projected(NoisyTokens(visual), plan);
    const std::span<const SharedImage> images{&image, 1};
    Sequences sequences;
    sequences.push_back(std::make_unique<RunningSequence>(pool_));
    ForwardAll(context(), {prompt, images, {}, plan}, *sequences[0]);
    for (int64_t b = 1; b < batch; ++b) {
      sequences.push_back(std::make_unique<RunningSequence>(sequences[0]->kv.Fork()));
      sequences.back()->computed = sequences[0]->computed;
    }
    StageTimes times(ex_);
    for (int64_t round = 0; round <= options_.rounds; ++round)
      times.Time([&] { Steps(prompt, images, plan, sequences); });
    StageSpeed stage = times.Result("questions", batch, batch, options_.decode_tokens);
    stage.visual_tokens = visual;
    return stage;
  }

  SharedImage Encoded(const ModelPixels& pixels) {
    Tensor visual = Tensor::F32({pixels.plan.tokens, text_.width}, "visual", ex_.place());
    model_.Encode(ex_, pixels, visual, {});
    return Projected(std::move(visual), model_.decoder().plan());
  }

  // A picture's tokens as the engine keeps them.
  SharedImage Projected(Tensor visual, const LayerPlan& plan) {
    auto image = std::make_shared<EncodedImage>();
    if (plan.images_stand_alone()) {
      model_.decoder().EncodeImage(ex_, {.visual = visual, .aligner = plan.aligner}, {},
                                   activations_, image->kv.emplace());
    } else {
      image->visual = std::move(visual);
    }
    return image;
  }

  Exec& ex_;
  const SpeedBenchOptions& options_;
  VlmModel model_;
  LlamaConfig text_;
  KvPool pool_;
  DecoderActivations activations_;
};

}  // namespace

SpeedBench BenchSpeed(const std::string& path, const EngineOptions& options,
                      const SpeedBenchOptions& bench) {
  CheckRanges(bench);
  const auto step = [&](const std::string& what) {
    if (bench.on_step) bench.on_step(what);
  };
  const LoadOptions load = ParseLoadOptions(options);
  if (load.overrides.share.ranks > 1)
    throw Error(Code::kUnimplemented, "tensor_parallel is not for benchmarks yet, expected 1",
                "tensor_parallel");
  step("load");
  const auto start = SpeedClock::now();
  CheckedModel checked(path, load.overrides);
  const ModelInfo info = Summarize(checked, load, options);
  CheckMemoryPlan(info, load.memory_limit, Engine::MachineMemory());
  Exec ex = MakeExec(load);
  const int64_t rows = BufferRows(checked.config(), load);
  const SpeedBenchOptions fitted = Fitted(bench, info);
  Speed speed(ex, std::move(checked), rows, fitted);
  SpeedBench out{.model = path,
                 .device = info.device,
                 .compute = info.compute,
                 .cpu_level = std::string(CpuLevelName(ex.cpu_level())),
                 .threads = ex.threads(),
                 .rounds = bench.rounds,
                 .load_milliseconds = MillisecondsFrom(start),
                 .weight_bytes = MatrixBytes(speed.model().decoder().weights()),
                 .planned_bytes = info.planned_bytes};
  step("rates");
  std::vector<double> f32, bf16, int8;
  for (int64_t round = 0; round < bench.rounds; ++round) {
    f32.push_back(MeasureF32Rate(ex));
    bf16.push_back(MeasureBf16Rate(ex));
    int8.push_back(MeasureInt8Rate(ex));
  }
  out.f32_rate = SpreadOf(f32);
  out.bf16_rate = SpreadOf(bf16);
  out.int8_rate = SpreadOf(int8);
  speed.Run(step, out);
  return out;
}

}  // namespace binocle
