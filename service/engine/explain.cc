#include "service/engine/explain.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/error.h"
#include "service/engine/answer_words.h"
#include "service/engine/attention_recorder.h"
#include "service/engine/faithfulness.h"
#include "service/engine/sink_recorder.h"

namespace binocle {
namespace {

void CheckExplain(const Request& request, const ExplainOptions& options) {
  if (PicturesOf(request).empty()) ThrowInvalid("explain: needs a picture, the request has none");
  if (request.generation.n != 1)
    ThrowOption("n", "is ", request.generation.n, ", expected 1: one answer is explained");
  CheckOptions(options);
}

Layers LayersOf(const ExplainOptions& options, const LlamaConfig& config) {
  const Layers layers = options.layers.value_or(Layers{0, config.layers - 1});
  if (layers.first < 0 || layers.first > layers.last || layers.last >= config.layers) {
    ThrowOption("layers", "is ", layers.first, "-", layers.last, ", expected first-last within 0-",
                config.layers - 1);
  }
  return layers;
}

std::vector<int64_t> HeadsOf(const ExplainOptions& options, const LlamaConfig& config) {
  std::vector<int64_t> heads = options.heads;
  for (int64_t h = 0; options.heads.empty() && h < config.heads; ++h) heads.push_back(h);
  std::sort(heads.begin(), heads.end());
  heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
  for (const int64_t h : heads) {
    if (h < 0 || h >= config.heads)
      ThrowOption("heads", "has ", h, ", expected 0 to ", config.heads - 1);
  }
  return heads;
}

// Sends the first token through the layers alone. It sees nothing that comes after it, so its states are those of the whole prompt. It waits in the
// queue before others of `request`'s priority, which is going to wait behind them, and no longer than that would. False: stopped.
bool RunFirstToken(const EngineAccess& engine, const Request& request, int32_t id,
                   const Observer& observer, FirstTokenStates& states) {
  RequestHooks hooks;
  hooks.inputs = &states;
  hooks.scoring = RequestHooks::Scoring{};
  const ExpandedPrompt prompt{.ids = {id}, .images = {}};
  Request alone;
  alone.priority = std::min<int64_t>(request.priority + 1, 100);
  alone.deadline = request.deadline;
  const Response response = engine.Run(
      std::make_unique<PreparedRequest>(engine.loaded(), alone, prompt, std::vector<SharedImage>()),
      {.on_delta = {}, .keep_going = observer.keep_going}, std::move(hooks));
  return response.answers[0].finish_reason != FinishReason::kCancelled;
}

// Means of masses over the rows that gave tokens.
class HeadMeans {
 public:
  explicit HeadMeans(const LlamaConfig& config)
      : layers_(config.layers),
        heads_(config.heads),
        visual_(static_cast<size_t>(layers_ * heads_)),
        content_(visual_.size()),
        rows_(static_cast<size_t>(layers_)) {}

  void Add(int64_t token, const AttentionRecorder& recorder,
           std::span<const SegmentMasses> masses) {
    for (int64_t l = 0; l < layers_; ++l) {
      if (!recorder.Asked(l, token)) continue;
      ++rows_[static_cast<size_t>(l)];
      for (int64_t h = 0; h < heads_; ++h) {
        const auto at = static_cast<size_t>(l * heads_ + h);
        visual_[at] += masses[at].visual();
        content_[at] += masses[at].content;
      }
    }
  }
  HeadReport Report(const ImageCentric& tests) const {
    HeadReport report{
        .layers = layers_, .heads = heads_, .mass = tests.mass, .rho = tests.rho, .statistics = {}};
    for (size_t at = 0; at < visual_.size(); ++at) {
      const auto rows = static_cast<double>(rows_[at / static_cast<size_t>(heads_)]);
      HeadStatistics& s = report.statistics.emplace_back();
      if (rows == 0) continue;
      s.visual_mass = visual_[at] / rows;
      if (visual_[at] > 0) s.non_sink_ratio = content_[at] / visual_[at];
      s.image_centric = tests.Has(s.visual_mass, content_[at] / rows);
    }
    return report;
  }

 private:
  int64_t layers_, heads_;
  std::vector<double> visual_, content_;  // [L·H] sums
  std::vector<int64_t> rows_;             // [L]
};

// Puts together what the recorders saw.
class Assembler {
 public:
  Assembler(const LoadedModel& m, const ExpandedPrompt& prompt, const AttentionRecorder& attention)
      : m_(m), prompt_(prompt), attention_(attention), places_(m.model.patch_places()) {}

  AttentionMap MapOf(int64_t first_token, int64_t end_token) const {
    std::vector<std::vector<float>> rows;
    for (int64_t t = first_token; t < end_token; ++t) {
      if (std::vector<float> row = attention_.VisualWeights(t); !row.empty())
        rows.push_back(std::move(row));
    }
    return MeanOf(rows);
  }
  // Over the tokens of all words, each once.
  AttentionMap MapOf(const std::vector<AnswerWord>& words, int64_t tokens) const {
    if (words.empty()) return MapOf(0, tokens);
    std::vector<std::vector<float>> rows;
    int64_t next = 0;
    for (const AnswerWord& word : words) {
      for (int64_t t = std::max(next, word.first_token); t < word.end_token; ++t) {
        if (std::vector<float> row = attention_.VisualWeights(t); !row.empty())
          rows.push_back(std::move(row));
      }
      next = std::max(next, word.end_token);
    }
    return MeanOf(rows);
  }
  double VisualMass(int64_t token) const {
    double sum = 0;
    for (const float w : attention_.VisualWeights(token)) sum += w;
    return sum;
  }
  SinkLayer SinksOf(int64_t layer, const SinkRecorder& states, const SequenceWatch& watch,
                    double cosine) const;

 private:
  AttentionMap MeanOf(const std::vector<std::vector<float>>& rows) const;
  ExplainedSink Place(int64_t position) const;

  const LoadedModel& m_;
  const ExpandedPrompt& prompt_;
  const AttentionRecorder& attention_;
  PatchPlaces places_;
};

AttentionMap Assembler::MeanOf(const std::vector<std::vector<float>>& rows) const {
  AttentionMap map;
  if (rows.empty()) return map;
  const auto count = static_cast<double>(rows.size());
  const auto patches = static_cast<size_t>(places_.grid.patches());
  map.patches.resize(prompt_.images.size());
  size_t first = 0;
  for (const ImageSpan& image : prompt_.images) {
    std::vector<float>& out = map.patches[static_cast<size_t>(image.image)];
    for (size_t p = 0; p < patches; ++p) {
      const int64_t token = places_.TokenOf(static_cast<int64_t>(p));
      double sum = 0;
      for (const std::vector<float>& row : rows)
        sum += token < 0 ? 0.0F : row[first + static_cast<size_t>(token)];
      out.push_back(static_cast<float>(sum / count));
    }
    first += static_cast<size_t>(image.tokens);
  }
  for (const std::vector<float>& row : rows) {
    for (const float w : row) map.visual_mass += w / count;
  }
  return map;
}

ExplainedSink Assembler::Place(int64_t position) const {
  ExplainedSink sink{.position = position};
  for (const ImageSpan& image : prompt_.images) {
    const int64_t token = position - image.first_position;
    if (token < 0 || token >= image.tokens) continue;
    sink.image = image.image;
    const int64_t patch = (token - places_.first) / places_.stride;
    if (token < places_.first || places_.TokenOf(patch) != token || patch >= places_.grid.patches())
      return sink;
    sink.row = patch / places_.grid.width;
    sink.col = patch % places_.grid.width;
    return sink;
  }
  sink.text = m_.model.tokenizer().Spelling(prompt_.ids[static_cast<size_t>(position)]);
  return sink;
}

SinkLayer Assembler::SinksOf(int64_t layer, const SinkRecorder& states, const SequenceWatch& watch,
                             double cosine) const {
  SinkLayer out{.layer = layer};
  const std::span<const SinkRecorder::Token> tokens = states.tokens(layer);
  const std::span<const uint8_t> classes = watch.classes(layer);
  const std::vector<float>& row = attention_.LastPromptRow(layer);
  const bool scored = !watch.plan().dims.empty();
  int64_t both = 0, either = 0;
  std::vector<float> squares;
  for (size_t p = 0; p < tokens.size(); ++p) {
    squares.push_back(tokens[p].score.mean_square);
    const bool massive = (classes[p] & kSinkKey) != 0;
    const bool aligned = p == 0 || std::abs(tokens[p].cosine) >= cosine;
    if (!massive && !aligned) continue;
    if (p > 0) {
      ++either;
      both += massive && aligned ? 1 : 0;
    }
    ExplainedSink& sink = out.sinks.emplace_back(Place(static_cast<int64_t>(p)));
    if (scored) sink.phi = tokens[p].score.phi();
    sink.cosine = tokens[p].cosine;
    if (!row.empty()) sink.mass = row[p];
    sink.massive = massive;
    sink.aligned = aligned;
  }
  std::nth_element(squares.begin(), squares.begin() + std::ssize(squares) / 2, squares.end());
  const double median = squares[squares.size() / 2];
  if (median > 0) out.first_token_norm = std::sqrt(tokens[0].score.mean_square / median);
  if (either > 0) out.agreement = static_cast<double>(both) / static_cast<double>(either);
  return out;
}

double MeanGrounding(const Answer& answer, int64_t first, int64_t end) {
  double sum = 0;
  for (int64_t t = first; t < end; ++t) sum += answer.grounding[static_cast<size_t>(t)];
  return end > first ? sum / static_cast<double>(end - first) : 0;
}

SeenPicture SeenOf(const LoadedModel& m, const ImageInput& input, Company company) {
  const TowerConfig& leading = m.model.config().leading();
  const PatchGrid grid = leading.features().grid;
  const Image seen = CropWithPadding(m.images.Prepare(input, company).seen,
                                     {.left = 0,
                                      .top = 0,
                                      .width = grid.width * leading.patch_size(),
                                      .height = grid.height * leading.patch_size()});
  return {.width = seen.width, .height = seen.height, .rgb = seen.rgb};
}

void AddTokensAndWords(const Assembler& assembler, const AnswerParts& parts, Explanation& out) {
  const Answer& answer = out.response.answers[0];
  for (size_t t = 0; t < answer.token_ids.size(); ++t) {
    out.tokens.push_back({.id = answer.token_ids[t],
                          .text = parts.token_texts[t],
                          .visual_mass = assembler.VisualMass(static_cast<int64_t>(t)),
                          .grounding = answer.grounding[t]});
  }
  for (const AnswerWord& word : parts.words) {
    out.words.push_back({.text = answer.text.substr(static_cast<size_t>(word.begin),
                                                    static_cast<size_t>(word.end - word.begin)),
                         .begin = word.begin,
                         .end = word.end,
                         .first_token = word.first_token,
                         .end_token = word.end_token,
                         .map = assembler.MapOf(word.first_token, word.end_token),
                         .grounding = MeanGrounding(answer, word.first_token, word.end_token),
                         .faithfulness = {}});
  }
  out.map = assembler.MapOf(parts.words, std::ssize(answer.token_ids));
}

void AddFaithfulness(const EngineAccess& engine, const Request& request,
                     const FaithfulnessOptions& options, const Observer& observer,
                     Explanation& out) {
  const std::vector<int32_t>& answer = out.response.answers[0].token_ids;
  std::vector<MapOfTokens> maps = {
      {.map = &out.map, .first_token = 0, .end_token = std::ssize(answer)}};
  for (const ExplainedWord& word : out.words)
    maps.push_back(
        {.map = &word.map, .first_token = word.first_token, .end_token = word.end_token});
  MeasuredMaps measured = MeasureFaithfulness(engine, request, options, observer, answer, maps);
  if (measured.of_maps.empty()) return;
  out.block = measured.block;
  out.faithfulness = std::move(measured.of_maps[0]);
  for (size_t i = 0; i < out.words.size(); ++i)
    out.words[i].faithfulness = std::move(measured.of_maps[i + 1]);
}

// The watched generation and what it showed, without faithfulness.
void Watch(const EngineAccess& engine, const Request& request, const ExplainOptions& options,
           const Observer& observer, Explanation& out) {
  const LoadedModel m = engine.loaded();
  const LlamaConfig& config = m.model.config().text;
  auto prepared = std::make_unique<PreparedRequest>(m, request);
  const ExpandedPrompt prompt = prepared->prompt.expanded;
  const int64_t prompt_tokens = std::ssize(prompt.ids);
  std::vector<ImagePlace> images;
  for (const ImageSpan& image : prompt.images)
    images.push_back({image.first_position, image.tokens});
  AttentionRecorder attention({.layers = config.layers,
                               .heads = config.heads,
                               .map_layers = {out.layers.first, out.layers.last},
                               .map_heads = out.heads,
                               .prompt_tokens = prompt_tokens,
                               .images = std::move(images)});
  FirstTokenStates first(config.layers, config.width);
  Observer until_stopped = observer;
  if (prompt.images[0].first_position > 0 &&
      !RunFirstToken(engine, request, prompt.ids[0], observer, first))
    until_stopped.keep_going = [] { return false; };
  SinkRecorder states(config.layers, prompt_tokens, prepared->sink_dims, first);
  HeadMeans heads(config);
  RequestHooks hooks{.rows = &attention, .inputs = &states};
  hooks.before_token = [&](int64_t token, const SequenceWatch& watch) {
    heads.Add(token, attention, watch.masses());
  };
  std::unique_ptr<SequenceWatch> watch;
  hooks.take_watch = [&](std::unique_ptr<SequenceWatch> taken) { watch = std::move(taken); };
  out.response = engine.Run(std::move(prepared), until_stopped, std::move(hooks));

  const Assembler assembler(m, prompt, attention);
  const Answer& answer = out.response.answers[0];
  AddTokensAndWords(assembler, TakeApart(answer, m.model.tokenizer(), request.prompt_format), out);
  out.head_report = heads.Report(ImageCentricOf(out.response.interventions));
  if (watch == nullptr) return;  // stopped before the end
  const WatchPlan& plan = watch->plan();
  out.sinks = {.dims = {plan.dims.begin(), plan.dims.end()},
               .tau = plan.tau,
               .cosine = options.cosine,
               .layers = {}};
  for (int64_t l = 0; l < config.layers; ++l)
    out.sinks.layers.push_back(assembler.SinksOf(l, states, *watch, options.cosine));
}

}  // namespace

void CheckOptions(const ExplainOptions& options) {
  CheckOption("cosine", options.cosine, 0, 1);
  if (!options.faithfulness) return;
  CheckOption("blocks", options.faithfulness->blocks, 4, 1024);
  CheckOption("curve_points", options.faithfulness->curve_points, 2, 1024);
}

Explanation ExplainRequest(const EngineAccess& engine, const Request& request,
                           const ExplainOptions& options, const Observer& observer) {
  CheckExplain(request, options);
  const LoadedModel model = engine.loaded();
  const LlamaConfig& config = model.model.config().text;
  Explanation out{.layers = LayersOf(options, config), .heads = HeadsOf(options, config)};
  Request watched = request;
  watched.grounding = true;
  Watch(engine, watched, options, observer, out);
  const PatchGrid grid = model.model.config().leading().features().grid;
  out.rows = grid.height;
  out.cols = grid.width;
  for (const ImageInput* picture : PicturesOf(request))
    out.seen.push_back(SeenOf(model, *picture, CompanyIn(request)));
  if (options.faithfulness && out.response.answers[0].finish_reason != FinishReason::kCancelled)
    AddFaithfulness(engine, request, *options.faithfulness, observer, out);
  return out;
}

}  // namespace binocle
