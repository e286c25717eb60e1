#include "binocle/engine.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

#include "attention/kv_pages.h"
#include "core/error.h"
#include "core/exec.h"
#include "fusion/vlm_model.h"
#include "service/engine/engine_access.h"
#include "service/engine/explain.h"
#include "service/engine/generation.h"
#include "service/engine/generation_options.h"
#include "service/engine/image_encoder.h"
#include "service/engine/intervention_plan.h"
#include "service/engine/load_options.h"
#include "service/engine/memory_plan.h"
#include "service/engine/model_summary.h"

namespace binocle {
namespace {

using Clock = std::chrono::steady_clock;

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What the standard library throws, as the one exception type of the public headers. Not around calls of observers, whose exceptions are
// the caller's.
template <typename Action>
auto AsErrors(const std::string& path, const Action& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    Throw(Code::kResourceExhausted, path, ": out of memory");
  } catch (const std::system_error& error) {
    Throw(Code::kUnknown, path, ": ", error.code().message());
  }
}

void CheckRequest(const Request& request, const EngineOptions& options, int64_t vocabulary) {
  CheckOptions(request.generation, vocabulary);
  int64_t images = 0;
  for (const Message& message : request.messages)
    images += static_cast<int64_t>(message.images.size());
  if (images > options.max_images) {
    Throw(Code::kResourceExhausted, "request: has ", images, " pictures, the limit is ",
          options.max_images);
  }
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

// Owns the model and its buffers; one request at a time.
struct Engine::Impl {
  Impl(const EngineOptions& engine_options, const LoadOptions& load, ModelInfo model_info,
       CheckedModel checked)
      : options(engine_options),
        info(std::move(model_info)),
        exec(load.threads),
        calibration(ReadCalibration(checked)),
        model(exec, std::move(checked), info.context_tokens),
        pool(model.config().text.layers, model.config().text.kv_heads, model.config().text.head_dim,
             kEngineSequences * PagesFor(info.context_tokens)),
        activations(model.config().text,
                    std::max(ChunkRows(model.config(), load), kEngineSequences), kEngineSequences),
        images(model, options) {}

  LoadedModel loaded() {
    return {.exec = exec,
            .model = model,
            .pool = pool,
            .activations = activations,
            .images = images,
            .prefix = prefix,
            .calibration = calibration,
            .info = info};
  }

  EngineOptions options;
  ModelInfo info;
  Exec exec;
  AttentionCalibration calibration;
  VlmModel model;
  KvPool pool;
  DecoderActivations activations;
  ImageEncoder images;
  KeptPrefix prefix;  // after the pool, whose pages it holds
  double load_ms = 0;
  mutable std::mutex mutex;  // guards everything above during a request
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::Load(const std::string& path, const EngineOptions& options) {
  return AsErrors(path, [&] {
    const auto start = Clock::now();
    const LoadOptions load = ParseLoadOptions(options);
    CheckedModel checked(path, load.overrides);
    ModelInfo info = Summarize(checked, load);
    CheckMemoryPlan(info, load.memory_limit, PhysicalMemory());
    auto impl = std::make_unique<Impl>(options, load, std::move(info), std::move(checked));
    impl->load_ms = MillisecondsSince(start);
    return Engine(std::move(impl));
  });
}

ModelInfo Engine::Inspect(const std::string& path, const EngineOptions& options) {
  return AsErrors(path, [&] {
    const LoadOptions load = ParseLoadOptions(options);
    return Summarize(CheckedModel(path, load.overrides), load);
  });
}

const ModelInfo& Engine::info() const { return impl_->info; }

Response Engine::Generate(const Request& request, const Observer& observer) {
  const std::lock_guard lock(impl_->mutex);
  CheckRequest(request, impl_->options, impl_->info.vocabulary);
  Generation generation(impl_->loaded(), request, observer);
  Response response = generation.Run();
  response.timings.load = impl_->load_ms;
  return response;
}

Explanation Engine::Explain(const Request& request, const ExplainOptions& options,
                            const Observer& observer) {
  const std::lock_guard lock(impl_->mutex);
  CheckRequest(request, impl_->options, impl_->info.vocabulary);
  Explanation explanation = ExplainRequest(impl_->loaded(), request, options, observer);
  explanation.response.timings.load = impl_->load_ms;
  return explanation;
}

void Engine::CheckImage(const ImageInput& image) const { impl_->images.Check(image); }

ImageEmbedding Engine::EmbedImage(const ImageInput& image) {
  const std::lock_guard lock(impl_->mutex);
  Timings timings;
  const Tensor visual = impl_->images.Visual(impl_->exec, image, timings);
  return {.tokens = visual.dim(0),
          .width = visual.dim(1),
          .values = {visual.f32(), visual.f32() + visual.view().elements()}};
}

void EngineAccess::Use(Engine& engine, const std::function<void(const LoadedModel&)>& use) {
  const std::lock_guard lock(engine.impl_->mutex);
  use(engine.impl_->loaded());
}

ImageCacheInfo Engine::image_cache() const {
  const std::lock_guard lock(impl_->mutex);
  const ImageCacheCounters& c = impl_->images.counters();
  return {.hits = c.hits,
          .misses = c.misses,
          .evictions = c.evictions,
          .entries = c.entries,
          .bytes = c.bytes};
}

}  // namespace binocle
