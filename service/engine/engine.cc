#include "binocle/engine.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "attention/kv_pages.h"
#include "core/error.h"
#include "core/exec.h"
#include "fusion/vlm_model.h"
#include "llm/sampling.h"
#include "service/engine/answer_builder.h"
#include "service/engine/load_options.h"
#include "service/engine/model_summary.h"
#include "service/engine/prefill.h"
#include "service/engine/request_prompt.h"
#include "service/engine/token_times.h"
#include "vision/decode.h"

namespace binocle {
namespace {

using Clock = std::chrono::steady_clock;

// The context ends an answer before this; it bounds what a caller may ask for.
constexpr int64_t kMaxNewTokens = int64_t{1} << 20;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void CheckOption(const char* option, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    ThrowInvalid(option, " is ", value, ", expected ", low, " to ", high);
}

SamplingParams SamplingOf(const GenerationOptions& g, int64_t answer) {
  return {.temperature = g.temperature,
          .top_k = g.top_k,
          .top_p = g.top_p,
          .min_p = g.min_p,
          .repetition_penalty = g.repetition_penalty,
          .seed = g.seed + static_cast<uint64_t>(answer)};
}

void CheckRequest(const Request& request, const EngineOptions& options, int64_t vocabulary) {
  const GenerationOptions& g = request.generation;
  CheckOption("max_new_tokens", g.max_new_tokens, 1, kMaxNewTokens);
  CheckOption("n", g.n, 1, 64);
  CheckOption("logprobs", g.logprobs, 0, vocabulary);
  CheckSamplingParams(SamplingOf(g, 0));
  const StopMatcher checked(g.stop);
  int64_t images = 0;
  for (const Message& message : request.messages)
    images += static_cast<int64_t>(message.images.size());
  if (images > options.max_images) {
    Throw(Code::kResourceExhausted, "request: has ", images, " pictures, the limit is ",
          options.max_images);
  }
}

int64_t MemoryChecked(const ModelInfo& info, int64_t limit) {
  if (limit > 0 && info.planned_bytes > limit) {
    Throw(Code::kResourceExhausted, info.path, ": the plan needs ", info.planned_bytes,
          " bytes (see `binocle inspect`), memory_limit is ", limit);
  }
  return info.planned_bytes;
}

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
  }
  return "?";
}

const char* Version() { return BINOCLE_VERSION; }

// One answer on its way.
struct Answering {
  AnswerBuilder& builder;
  Sampler& sampler;
  KvSequence& sequence;  // holds the prompt
  std::span<const float> prompt_logits;
  TokenTimes& times;
};

// Owns the model and its buffers; one request at a time.
struct Engine::Impl {
  Impl(const std::string& path, const EngineOptions& engine_options, const LoadOptions& load,
       CheckedModel checked)
      : options(engine_options),
        info(Summarize(checked, load)),
        planned_bytes(MemoryChecked(info, load.memory_limit)),
        exec(load.threads),
        model(exec, std::move(checked), info.context_tokens),
        pool(model.config().text.layers, model.config().text.kv_heads, model.config().text.head_dim,
             PagesFor(info.context_tokens)),
        activations(model.config().text, ChunkRows(model.config(), load), 1) {
    info.path = path;
  }

  std::vector<Tensor> EncodeImages(const std::vector<const ImageInput*>& images, bool exif,
                                   Timings& timings);
  Tensor EncodeImage(const ImageInput& image, bool exif, Timings& timings);
  Response Generate(const Request& request, const Observer& observer);
  FinishReason Decode(const Answering& a, const Request& request, const Observer& observer);

  EngineOptions options;
  ModelInfo info;
  int64_t planned_bytes;
  Exec exec;
  VlmModel model;
  KvPool pool;
  DecoderActivations activations;
  double load_ms = 0;
  std::mutex mutex;  // guards everything above during a request
};

Tensor Engine::Impl::EncodeImage(const ImageInput& input, bool exif, Timings& timings) {
  if (!model.config().takes_pictures())
    ThrowInvalid(info.name, ": is a text model and takes no pictures");
  const auto start = Clock::now();
  const DecodeOptions limits{
      .exif = exif, .max_bytes = options.max_image_bytes, .max_pixels = options.max_image_pixels};
  const Image image = input.bytes.empty() ? ReadImage(input.path, limits)
                                          : DecodeImage(input.bytes, limits, input.path);
  timings.decode += MillisecondsSince(start);
  Tensor visual = Tensor::F32({model.tokens_per_image(), model.config().text.width}, "visual");
  VisionTimings vision;
  model.EncodeImage(exec, image, visual, vision, nullptr, nullptr);
  timings.decode += vision.pixels;
  timings.anchor += vision.anchor;
  timings.augment += vision.augment;
  timings.fusion += vision.fusion;
  return visual;
}

std::vector<Tensor> Engine::Impl::EncodeImages(const std::vector<const ImageInput*>& images,
                                               bool exif, Timings& timings) {
  std::vector<Tensor> visual;
  visual.reserve(images.size());
  for (const ImageInput* image : images) visual.push_back(EncodeImage(*image, exif, timings));
  return visual;
}

// Samples from the prompt's logits, then steps until the answer ends.
FinishReason Engine::Impl::Decode(const Answering& a, const Request& request,
                                  const Observer& observer) {
  const GenerationOptions& g = request.generation;
  const int32_t usable = model.tokenizer().vocabulary_size();
  std::span<const float> logits = a.prompt_logits;
  while (true) {
    if (observer.keep_going && !observer.keep_going()) return FinishReason::kCancelled;
    if (g.logprobs > 0) {
      auto& step = a.builder.answer().logprobs.emplace_back();
      for (const TokenLogProb& p : LogProbs(logits, usable, g.logprobs))
        step.push_back({.id = p.id, .value = p.value});
    }
    const int32_t token = a.sampler.Sample(logits);
    a.times.Record(a.builder.tokens() == 0);
    if (!a.builder.Push(token)) return FinishReason::kStop;
    if (a.builder.tokens() >= g.max_new_tokens || a.sequence.length() >= info.context_tokens)
      return FinishReason::kLength;
    DecodeStep(exec, model.decoder(), token, pool, a.sequence, activations);
    logits = {activations.logits.f32(), static_cast<size_t>(activations.logits.dim(1))};
  }
}

Response Engine::Impl::Generate(const Request& request, const Observer& observer) {
  const auto start = Clock::now();
  CheckRequest(request, options, info.vocabulary);
  PreparedPrompt prompt = PreparePrompt(request, model, info.context_tokens);
  Response response{.id = request.id, .model = info.name};
  response.timings.load = load_ms;
  const std::vector<Tensor> visual = EncodeImages(prompt.images, request.exif, response.timings);
  response.prompt_token_ids = prompt.expanded.ids;
  response.prompt_tokens = static_cast<int64_t>(prompt.expanded.ids.size());
  response.image_tokens = static_cast<int64_t>(prompt.images.size()) * model.tokens_per_image();

  const auto prefill_start = Clock::now();
  KvSequence sequence(pool);
  const bool prefilled = Prefill(exec, model.decoder(), {prompt.expanded, visual}, pool, sequence,
                                 activations, observer.keep_going);
  response.timings.prefill = MillisecondsSince(prefill_start);
  std::vector<std::string> stops = request.generation.stop;
  stops.insert(stops.end(), prompt.stops.begin(), prompt.stops.end());
  const std::vector<float> logits(activations.logits.f32(),
                                  activations.logits.f32() + activations.logits.dim(1));

  TokenTimes times;
  for (int64_t i = 0; i < request.generation.n; ++i) {
    AnswerBuilder builder(i, model, stops, request.prompt_format, observer);
    if (!prefilled) {
      response.answers.push_back(builder.Finish(FinishReason::kCancelled));
      continue;
    }
    Sampler sampler(SamplingOf(request.generation, i), model.tokenizer().vocabulary_size());
    sampler.Observe(prompt.expanded.ids);
    sequence.Truncate(response.prompt_tokens);
    const FinishReason reason =
        Decode({builder, sampler, sequence, logits, times}, request, observer);
    response.answers.push_back(builder.Finish(reason));
  }
  response.timings.total = MillisecondsSince(start);
  times.Report(start, response.timings);
  return response;
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::Load(const std::string& path, const EngineOptions& options) {
  const auto start = Clock::now();
  const LoadOptions load = ParseLoadOptions(options);
  auto impl = std::make_unique<Impl>(path, options, load, CheckedModel(path, load.overrides));
  impl->load_ms = MillisecondsSince(start);
  return Engine(std::move(impl));
}

ModelInfo Engine::Inspect(const std::string& path, const EngineOptions& options) {
  const LoadOptions load = ParseLoadOptions(options);
  return Summarize(CheckedModel(path, load.overrides), load);
}

const ModelInfo& Engine::info() const { return impl_->info; }

Response Engine::Generate(const Request& request, const Observer& observer) {
  const std::lock_guard lock(impl_->mutex);
  return impl_->Generate(request, observer);
}

ImageEmbedding Engine::EmbedImage(const ImageInput& image) {
  const std::lock_guard lock(impl_->mutex);
  Timings timings;
  const Tensor visual = impl_->EncodeImage(image, true, timings);
  return {.tokens = visual.dim(0),
          .width = visual.dim(1),
          .values = {visual.f32(), visual.f32() + visual.view().elements()}};
}

}  // namespace binocle
