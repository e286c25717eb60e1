#include "service/engine/parity_request.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "core/ops/elementwise.h"
#include "service/engine/request_prompt.h"

namespace binocle {
namespace {

// Visual tokens of the request's picture `index`.
int64_t TokensOf(const ParityRun& run, const DumpRequest& request, int64_t index) {
  const int64_t picture = request.images[static_cast<size_t>(index)];
  return run.visual[static_cast<size_t>(picture)].dim(0);
}

// Where the pictures are among the ids. Pictures that follow each other touch, so lengths tell them apart.
std::vector<ImageSpan> SpansOf(const ParityRun& parity, const DumpRequest& request) {
  const Dump& dump = parity.dump;
  std::vector<ImageSpan> spans;
  const int32_t image_token = parity.model.config().image_token;
  const auto refuse = [&](int64_t found, int64_t position, int64_t tokens) {
    dump.OfAnotherModel(internal::Concat("prompt_token_ids has ", found, " image tokens from ",
                                         position, " on, expected ", tokens, " for picture ",
                                         spans.size()));
  };
  const auto end = std::ssize(request.prompt_ids);
  for (int64_t p = 0; p < end; ++p) {
    if (request.prompt_ids[static_cast<size_t>(p)] != image_token) continue;
    if (spans.size() == request.images.size()) {
      dump.OfAnotherModel(internal::Concat("prompt_token_ids has image tokens from ", p,
                                           " on, after those of its ", spans.size(), " pictures"));
    }
    const int64_t tokens = TokensOf(parity, request, std::ssize(spans));
    int64_t run = p;
    while (run < end && run < p + tokens &&
           request.prompt_ids[static_cast<size_t>(run)] == image_token)
      ++run;
    if (run - p < tokens) refuse(run - p, p, tokens);
    spans.push_back({.first_position = p, .tokens = tokens, .image = std::ssize(spans)});
    p = run - 1;
  }
  if (spans.size() != request.images.size()) {
    dump.OfAnotherModel(internal::Concat("prompt_token_ids has image tokens for ", spans.size(),
                                         " pictures, expected ", request.images.size()));
  }
  return spans;
}

// Of a step: ids and natural log-probabilities of the five best tokens, and the largest logit.
struct StepSummary {
  Tensor top;  // [5, 2]
  double largest = 0;
};

// Where the first of two lists of ids differ.
void CompareIds(std::span<const int32_t> got, std::span<const int32_t> want, ParityStage& stage) {
  stage.compared = std::ssize(want);
  const size_t common = std::min(got.size(), want.size());
  for (size_t i = 0; i < common; ++i) {
    if (got[i] == want[i]) continue;
    stage.agrees = false;
    stage.absolute += 1;
    if (stage.where.empty())
      stage.where = internal::Concat("id ", i, " is ", got[i], ", expected ", want[i]);
  }
  if (got.size() != want.size()) {
    stage.agrees = false;
    stage.absolute += static_cast<double>(std::max(got.size(), want.size()) - common);
    if (stage.where.empty())
      stage.where = internal::Concat("there are ", got.size(), " ids, expected ", want.size());
  }
  if (stage.compared > 0) stage.relative = stage.absolute / static_cast<double>(stage.compared);
}

class RequestComparison : public LayerInputObserver {
 public:
  RequestComparison(const ParityRun& run, int64_t index, StageLog& log)
      : run_(run),
        index_(index),
        prefix_(internal::Concat("req", index, ".")),
        request_(run.dump.requests()[static_cast<size_t>(index)]),
        log_(log),
        prompt_{.ids = request_.prompt_ids, .images = SpansOf(run, request_)},
        layers_(static_cast<size_t>(run.model.config().text.layers) + 1) {}

  void Run() {
    ComparePrompt();
    if (request_.tokens.empty()) return;
    RunningSequence sequence(run_.forward.pool);
    ForwardPrompt(sequence);
    CompareLayers();
    CompareSteps(sequence);
  }

  // x holds what our layer below made of the dump's state; from here on it holds the dump's.
  void LayerInput(int64_t layer, int64_t first_position, const TensorView& x) override {
    const std::string name = prefix_ + "hidden." + std::to_string(layer);
    if (first_position >= prompt_tokens() || !run_.dump.Has(name)) return;
    const Tensor want = Tensor::F32({x.dim(0), x.dim(1)}, "dump");
    run_.dump.ReadRows(name, prompt_tokens(), first_position, want);
    layers_[static_cast<size_t>(layer)].Merge(CompareRows(x, want, first_position));
    CopyRows(want, x);
  }

 private:
  int64_t prompt_tokens() const { return std::ssize(prompt_.ids); }
  const LayerPlan& plan() const { return run_.model.config().layers; }
  ParityStage Stage(std::string name, int64_t layer = -1) const {
    return {.name = std::move(name), .request = index_, .layer = layer};
  }

  // The ids that our template and tokenizer make of the same text.
  void ComparePrompt() {
    if (!request_.prompt || !run_.model.has_tokenizer()) return;
    std::vector<ImageInput> pictures(request_.images.size());  // only counted
    Request request = Ask(*request_.prompt, std::move(pictures));
    request.prompt_format = request_.chat ? PromptFormat::kChat : PromptFormat::kRaw;
    request.system = request_.system;
    std::vector<int64_t> image_tokens;
    for (int64_t i = 0; i < std::ssize(request_.images); ++i)
      image_tokens.push_back(TokensOf(run_, request_, i));
    const PreparedPrompt prepared =
        ExpandRendered(RenderPrompt(request, run_.model), run_.model, image_tokens,
                       run_.model.config().text.max_positions + 1);
    ParityStage stage = Stage("prompt");
    CompareIds(prepared.expanded.ids, request_.prompt_ids, stage);
    log_.AddExact(std::move(stage));
  }

  // Pictures as a request has them, by place in the prompt. Where they stand alone they are watched on their own way.
  std::vector<SharedImage> Pictures() {
    std::vector<SharedImage> pictures;
    for (const ImageSpan& span : prompt_.images) {
      auto image = std::make_shared<EncodedImage>();
      const auto picture = static_cast<size_t>(request_.images[static_cast<size_t>(span.image)]);
      if (plan().images_stand_alone()) {
        const ForwardContext& c = run_.forward;
        const ImageWatch watch{.dims = {}, .inputs = this, .first_position = span.first_position};
        c.decoder.EncodeImage(c.ex, {.visual = run_.visual[picture], .aligner = plan().aligner},
                              watch, c.activations, image->kv.emplace());
      } else {
        image->visual = run_.visual[picture].Clone();
      }
      pictures.push_back(std::move(image));
    }
    return pictures;
  }

  SequenceTokens Tokens(std::span<const int32_t> answer) const {
    return {.prompt = prompt_, .images = pictures_, .answer = answer, .plan = plan()};
  }

  void ForwardPrompt(RunningSequence& sequence) {
    const LlamaConfig& config = run_.model.config().text;
    pictures_ = Pictures();
    sequence.watch = std::make_unique<SequenceWatch>(
        config, WatchPlan{},
        SequenceWatch::Layout{.prompt_tokens = prompt_tokens(),
                              .capacity = prompt_tokens() + std::ssize(request_.tokens),
                              .images = {}});
    sequence.watch->set_input_observer(this);
    states_ = Tensor::F32({prompt_tokens(), config.width}, "states");
    sequence.states = &states_;
    ForwardAll(run_.forward, Tokens({}), sequence);
    sequence.states = nullptr;
    sequence.watch = nullptr;
  }

  // Entry l of layers_ is what goes into layer l: the output of the one below.
  void CompareLayers() {
    const int64_t layers = run_.model.config().text.layers;
    CompareLastLayer();
    for (int64_t l = 0; l <= layers; ++l) {
      const Difference& difference = layers_[static_cast<size_t>(l)];
      if (difference.compared == 0) continue;
      log_.AddNear(l == 0 ? Stage("embeddings") : Stage("layer", l - 1), difference);
    }
  }

  // Nobody sees the last layer's output before the final norm, so the norm is put on the dump's as well. Pictures that stand alone have
  // no such rows.
  void CompareLastLayer() {
    const int64_t layers = run_.model.config().text.layers;
    const std::string name = prefix_ + "hidden." + std::to_string(layers);
    if (!run_.dump.Has(name)) return;
    Difference& difference = layers_[static_cast<size_t>(layers)];
    const Tensor want = Tensor::F32({1, states_.dim(1)}, "dump");
    for (int64_t p = 0; p < prompt_tokens(); ++p) {
      const bool visual = prompt_.ids[static_cast<size_t>(p)] == run_.model.config().image_token;
      if (visual && plan().images_stand_alone()) continue;
      run_.dump.ReadRows(name, prompt_tokens(), p, want);
      run_.forward.decoder.FinalNorm(run_.forward.ex, want, want);
      difference.Merge(CompareRows(states_.view().Rows(p, p + 1), want, p));
    }
  }

  void CompareSteps(RunningSequence& sequence) {
    const std::span<const int32_t> want(request_.tokens);
    std::vector<int32_t> got;
    Difference logits, log_probabilities;
    ParityStage tokens = Stage("tokens");
    for (size_t step = 0; step < want.size(); ++step) {
      if (step > 0) ForwardAll(run_.forward, Tokens(want.first(step)), sequence);
      const TensorView row = run_.forward.activations.logits.view().Rows(0, 1);
      CompareLogits(static_cast<int64_t>(step), row, logits, log_probabilities);
      const float* best = std::max_element(row.f32(), row.f32() + row.dim(1));
      got.push_back(static_cast<int32_t>(best - row.f32()));
      if (got.back() != want[step] && IsTie(static_cast<int64_t>(step))) got.back() = want[step];
    }
    if (logits.compared > 0) log_.AddNear(Stage("logits"), logits);
    if (log_probabilities.compared > 0) log_.AddNear(Stage("log-probabilities"), log_probabilities);
    CompareIds(got, want, tokens);
    if (!tokens.agrees) {
      const auto first = std::mismatch(got.begin(), got.end(), want.begin()).first - got.begin();
      if (const std::optional<double> margin = Margin(first))
        tokens.where += internal::Concat(", which leads by ", *margin, " in the dump");
    }
    log_.AddExact(std::move(tokens));
  }

  // Rows of differences are steps.
  void CompareLogits(int64_t step, const TensorView& row, Difference& logits,
                     Difference& log_probabilities) {
    const std::string name = prefix_ + "logits." + std::to_string(step);
    const Shape shape{row.dim(1)};
    if (run_.dump.Has(name)) {
      const Tensor want = run_.dump.Read(name, shape, "config.json: vocab_size");
      logits.Merge(CompareRows(row, want.view().Reshape({1, row.dim(1)}), step));
      return;
    }
    if (!Summary(step)) return;
    double sum = 0;
    const float largest = *std::max_element(row.f32(), row.f32() + row.dim(1));
    for (int64_t i = 0; i < row.dim(1); ++i)
      sum += std::exp(static_cast<double>(row.f32()[i]) - largest);
    Tensor got = Tensor::F32({1, kTop + 1}, "log-probabilities");
    Tensor want = Tensor::F32({1, kTop + 1}, "dump");
    for (int64_t i = 0; i < kTop; ++i) {
      const float id = summary_.top.f32()[2 * i];
      if (!(id >= 0 && id < static_cast<float>(row.dim(1)))) {
        run_.dump.OfAnotherModel(internal::Concat(prefix_, "top5 has id ", id, ", expected 0 to ",
                                                  row.dim(1) - 1, " (config.json: vocab_size)"));
      }
      got.f32()[i] = static_cast<float>(static_cast<double>(row.f32()[static_cast<int64_t>(id)]) -
                                        largest - std::log(sum));
      want.f32()[i] = summary_.top.f32()[2 * i + 1];
    }
    // One more number, the same on both sides, sets the scale: log-probabilities are differences of logits and err as those do.
    got.f32()[kTop] = want.f32()[kTop] = static_cast<float>(summary_.largest);
    Difference difference = CompareRows(got, want, step);
    difference.compared = kTop;
    log_probabilities.Merge(difference);
  }

  // Reads what the dump says of a step, if it says anything, into summary_.
  bool Summary(int64_t step) {
    const std::string top = prefix_ + "top5", largest = prefix_ + "max_abs_logit";
    if (!run_.dump.Has(top) || !run_.dump.Has(largest)) return false;
    const int64_t steps = std::ssize(request_.tokens);
    if (all_top_.empty()) {
      all_top_ = run_.dump.Read(top, {steps, kTop, 2}, "token_ids");
      all_largest_ = run_.dump.Read(largest, {steps}, "token_ids");
    }
    summary_.top = Tensor::F32({kTop, 2}, "top5");
    std::copy_n(all_top_.f32() + step * kTop * 2, kTop * 2, summary_.top.f32());
    summary_.largest = all_largest_.f32()[step];
    return true;
  }

  // By how much the dump's best token of a step leads.
  std::optional<double> Margin(int64_t step) {
    if (!Summary(step)) return std::nullopt;
    return static_cast<double>(summary_.top.f32()[1]) - summary_.top.f32()[3];
  }

  // In bf16 many logits are equal. Which of them comes first says nothing where they are nearer than either may be off.
  bool IsTie(int64_t step) {
    const std::optional<double> margin = Margin(step);
    return run_.dump.in_bf16() && margin && *margin <= 2 * log_.tolerance() * summary_.largest;
  }

  static constexpr int64_t kTop = 5;
  const ParityRun& run_;
  int64_t index_;
  std::string prefix_;
  const DumpRequest& request_;
  StageLog& log_;
  ExpandedPrompt prompt_;
  std::vector<SharedImage> pictures_;
  std::vector<Difference> layers_;  // [L + 1]
  Tensor states_;                   // [T, D] after the final norm
  Tensor all_top_, all_largest_;    // [steps, 5, 2], [steps]
  StepSummary summary_;
};

}  // namespace

int64_t PositionsOf(const ModelConfig& config, const Dump& dump, int64_t index) {
  const DumpRequest& request = dump.requests()[static_cast<size_t>(index)];
  for (const std::vector<int32_t>* ids : {&request.prompt_ids, &request.tokens}) {
    for (const int32_t id : *ids) {
      if (id < config.text.vocabulary) continue;
      dump.OfAnotherModel(internal::Concat("requests[", index, "] has id ", id, ", expected 0 to ",
                                           config.text.vocabulary - 1,
                                           " (config.json: vocab_size)"));
    }
  }
  const int64_t positions = std::ssize(request.prompt_ids) + std::ssize(request.tokens);
  if (positions > config.text.max_positions) {
    dump.OfAnotherModel(internal::Concat("requests[", index, "] has ", positions,
                                         " tokens, expected at most ", config.text.max_positions,
                                         " (config.json: max_position_embeddings)"));
  }
  return positions;
}

void CompareRequest(const ParityRun& run, int64_t index, StageLog& log) {
  RequestComparison(run, index, log).Run();
}

}  // namespace binocle
