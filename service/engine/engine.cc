#include "binocle/engine.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "attention/kv_pages.h"
#include "core/backend/devices.h"
#include "core/error.h"
#include "core/exec.h"
#include "core/machine.h"
#include "fusion/vlm_model.h"
#include "llm/decoder_leader.h"
#include "service/engine/admission.h"
#include "service/engine/embed.h"
#include "service/engine/engine_access.h"
#include "service/engine/engine_loop.h"
#include "service/engine/error_of.h"
#include "service/engine/explain.h"
#include "service/engine/generation_options.h"
#include "service/engine/image_encoder.h"
#include "service/engine/intervention_plan.h"
#include "service/engine/load_options.h"
#include "service/engine/memory_plan.h"
#include "service/engine/model_summary.h"
#include "service/engine/pending_request.h"
#include "service/engine/preparation.h"
#include "service/engine/ranks.h"

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
  CheckOption("priority", request.priority, -100, 100);
  CompiledConstraint::CheckSize(request.constraint);
  int64_t images = 0;
  for (const Message& message : request.messages)
    images += static_cast<int64_t>(message.images.size());
  if (images > options.max_images) {
    Throw(Code::kResourceExhausted, "request: has ", images, " pictures, the limit is ",
          options.max_images);
  }
}

// Codecs are loaded while weights are. A small model is there sooner than they are, and for it the first picture loads them.
std::future<void> DecoderBeside(const ModelInfo& info, const ModelConfig& config) {
  constexpr int64_t kLarge = int64_t{64} << 20;
  if (!config.takes_pictures() || info.file_bytes < kLarge) return {};
  return std::async(std::launch::async, &PrepareDecoder);
}

// What the plan has to fit into: the GPU's memory, where the model goes there.
int64_t MemoryFor(const LoadOptions& load) {
  if (!load.cuda) return Engine::MachineMemory();
  return FindCudaDevices().devices.at(static_cast<size_t>(*load.cuda)).memory_bytes;
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

// Owns the model and its buffers. The loop's thread alone uses them while it runs; the workers read pictures.
struct Engine::Impl {
  Impl(const EngineOptions& engine_options, const LoadOptions& load, ModelInfo model_info,
       CheckedModel checked)
      : options(engine_options),
        info(std::move(model_info)),
        communicator(Meet(engine_options.tensor_parallel, load)),
        terms(TermsOf(checked, load)),
        exec(MakeExec(load)),
        together(exec, communicator.get()),
        calibration(ReadCalibration(checked)),
        model(exec, std::move(checked), info.context_tokens),
        pool(model.config().text.layers, model.config().text.kv_heads, model.config().text.head_dim,
             PoolPages(model.config(), load), model.config().text.kv_dtype, exec.place()),
        activations(model.config().text, BufferRows(model.config(), load), load.max_sequences,
                    exec.place()),
        leader(MakeLeader()),
        images(model, options),
        prefix(pool),
        constraints(model),
        admission(options.max_queued_requests, options.max_queued_bytes),
        preparation(DecodeOrder::Limits{}),
        loop(loaded(), {.rows = PassRows(model.config(), load), .sequences = load.max_sequences}),
        workers(preparation, static_cast<int>(DecodeOrder::Limits{}.decoders + 1)) {}

  // Null where there is one rank.
  std::unique_ptr<DecoderLeader> MakeLeader() {
    if (communicator == nullptr) return nullptr;
    auto leads = std::make_unique<DecoderLeader>(*communicator, pool.pages(), terms);
    model.Lead(leads.get());
    pool.WhenCopied([to = leads.get()](int32_t from, int32_t into, int64_t tokens) {
      to->CopyPage(from, into, tokens);
    });
    return leads;
  }

  LoadedModel loaded() {
    return {.exec = exec,
            .model = model,
            .pool = pool,
            .activations = activations,
            .images = images,
            .prefix = prefix,
            .calibration = calibration,
            .constraints = constraints,
            .info = info};
  }

  Response Run(std::unique_ptr<PreparedRequest> prepared, const Observer& observer,
               RequestHooks hooks);
  // On the workers, in this order.
  void Read(const std::shared_ptr<PendingRequest>& pending);
  int64_t DecodePictures(const std::shared_ptr<PendingRequest>& pending);
  void HandOver(const std::shared_ptr<PendingRequest>& pending);
  // By who took it.
  void Refuse(const std::shared_ptr<PendingRequest>& pending, const Error& error);

  EngineOptions options;
  ModelInfo info;
  std::unique_ptr<Communicator> communicator;  // null where there is one rank
  std::vector<OrderTerm> terms;                // empty there
  Exec exec;
  JoinedRanks together;
  AttentionCalibration calibration;
  VlmModel model;
  KvPool pool;
  DecoderActivations activations;
  std::unique_ptr<DecoderLeader> leader;
  ImageEncoder images;
  PrefixIndex prefix;
  Constraints constraints;
  Admission admission;
  PreparationQueue preparation;
  double load_ms = 0;
  std::atomic<int64_t> next_number{0};
  std::timed_mutex
      watching;  // held by a request that watches rows: one at a time, since it cannot be sent back to wait
  EngineLoop loop;
  PreparationThreads workers;  // last: what they read goes to the loop
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::Load(const std::string& path, const EngineOptions& options) {
  return AsErrors(path, [&] {
    const auto start = Clock::now();
    const LoadOptions load = ParseLoadOptions(options);
    if (load.overrides.share.rank != 0)
      ThrowOption("rank", "is ", load.overrides.share.rank, ", expected 0, which has requests; ",
                  "others follow it (Engine::Follow)");
    CheckedModel checked(path, load.overrides);
    ModelInfo info = Summarize(checked, load, options);
    CheckMemoryPlan(info, load.memory_limit, MemoryFor(load));
    const std::future<void> decoder = DecoderBeside(info, checked.config());
    auto impl = std::make_unique<Impl>(options, load, std::move(info), std::move(checked));
    impl->load_ms = MillisecondsSince(start);
    return Engine(std::move(impl));
  });
}

void Engine::Follow(const std::string& path, const EngineOptions& options,
                    const std::function<void()>& on_loaded) {
  AsErrors(path, [&] {
    const LoadOptions load = ParseLoadOptions(options);
    CheckedModel checked(path, load.overrides);
    const ModelInfo info = Summarize(checked, load, options);
    const auto check_room = [&](int64_t kv_bytes) {
      ModelInfo with_room = info;
      with_room.kv_bytes = kv_bytes;
      with_room.planned_bytes += kv_bytes - info.kv_bytes;
      CheckMemoryPlan(with_room, load.memory_limit, MemoryFor(load));
    };
    check_room(info.kv_bytes);
    FollowRankZero(options.tensor_parallel, load, std::move(checked), {check_room, on_loaded});
  });
}

std::optional<std::string> Engine::Failure() const { return impl_->loop.failure(); }

int64_t Engine::MachineMemory() { return LimitsOfThisProcess().memory; }

ModelInfo Engine::Inspect(const std::string& path, const EngineOptions& options) {
  return AsErrors(path, [&] {
    const LoadOptions load = ParseLoadOptions(options);
    return Summarize(CheckedModel(path, load.overrides), load, options);
  });
}

ModelInfo Engine::Check(const std::string& path, const EngineOptions& options) {
  return AsErrors(path, [&] {
    const LoadOptions load = ParseLoadOptions(options);
    ModelInfo info = Summarize(CheckedModel(path, load.overrides), load, options);
    CheckMemoryPlan(info, load.memory_limit, MemoryFor(load));
    return info;
  });
}

const EngineOptions& Engine::options() const { return impl_->options; }
const ModelInfo& Engine::info() const { return impl_->info; }

std::string Engine::TokenText(int32_t id) const {
  CheckOption("token", id, 0, impl_->info.vocabulary - 1);
  const Tokenizer& tokenizer = impl_->model.tokenizer();
  if (id >= tokenizer.vocabulary_size() || impl_->model.IsEndToken(id)) return {};
  const TokenPiece piece = tokenizer.Piece(id);
  return piece.kind == TokenPiece::Kind::kSkipped ? std::string() : std::string(piece.text);
}

// Submits, and waits for the end. What the observer throws cancels the request and is thrown again here.
Response Engine::Impl::Run(std::unique_ptr<PreparedRequest> prepared, const Observer& observer,
                           RequestHooks hooks) {
  prepared->DecodePictures(images);
  std::promise<Response> done;
  std::exception_ptr thrown;  // by the observer, on the loop's thread
  const auto guarded = [&thrown](const auto& call) {
    if (thrown) return;
    try {
      call();
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  SubmissionEvents events{.on_started = {}, .on_delta = {}, .on_finished = {}, .on_error = {}};
  if (observer.on_delta)
    events.on_delta = [&](const Delta& delta) { guarded([&] { observer.on_delta(delta); }); };
  hooks.keep_going = [&] {
    bool going_on = true;
    if (observer.keep_going) guarded([&] { going_on = observer.keep_going(); });
    return going_on && !thrown;
  };
  events.on_finished = [&](Response response) { done.set_value(std::move(response)); };
  events.on_error = [&](const Error& error) { done.set_exception(std::make_exception_ptr(error)); };
  loop.Submit(std::make_shared<LiveRequest>(loaded(), std::move(prepared), std::move(events),
                                            std::move(hooks), next_number++));
  std::future<Response> future = done.get_future();
  future.wait();
  if (thrown) std::rethrow_exception(thrown);
  Response response = future.get();
  response.timings.load = load_ms;
  return response;
}

Response Engine::Generate(const Request& request, const Observer& observer) {
  CheckRequest(request, impl_->options, impl_->info.vocabulary);
  return impl_->Run(std::make_unique<PreparedRequest>(impl_->loaded(), request), observer, {});
}

struct Submission::State {
  std::atomic<bool> cancelled{false};
};

void Submission::Cancel() {
  if (state_ != nullptr) state_->cancelled.store(true);
}

void Engine::Impl::Refuse(const std::shared_ptr<PendingRequest>& pending, const Error& error) {
  loop.Post([pending, error] {
    pending->place.reset();
    if (pending->events.on_error) pending->events.on_error(error);
  });
}

// What is cancelled or late when its turn comes is left to the loop, which answers it.
void Engine::Impl::Read(const std::shared_ptr<PendingRequest>& pending) {
  if (pending->over()) return;
  const std::optional<Error> error = ErrorOf([&] {
    const int64_t priority = pending->request.priority;
    pending->prepared = std::make_unique<PreparedRequest>(loaded(), std::move(pending->request));
    pending->prepared->start = pending->start;
    const int64_t pixels = pending->prepared->pixels_to_decode();
    if (pixels == 0) return HandOver(pending);
    const std::chrono::duration<double> arrival = pending->start.time_since_epoch();
    preparation.Decode(
        {.id = pending->number, .priority = priority, .arrival = arrival.count(), .pixels = pixels},
        // Ended while it was read, it has given its place back, and must not wait with its pictures.
        {.over = [pending] { return pending->over(); },
         .decode = [this, pending] { return DecodePictures(pending); },
         .then =
             [this, pending](std::unique_ptr<PreparationQueue::Ahead> ahead) {
               pending->prepared->ahead = std::move(ahead);
               HandOver(pending);
             }});
  });
  if (error && pending->Take()) Refuse(pending, *error);
}

// How many bytes they take.
int64_t Engine::Impl::DecodePictures(const std::shared_ptr<PendingRequest>& pending) {
  if (pending->over()) return 0;
  const auto wanted = [&] { return !pending->over() && !preparation.closed(); };
  const std::optional<Error> error =
      ErrorOf([&] { pending->prepared->DecodePictures(images, wanted); });
  if (error && pending->Take()) Refuse(pending, *error);
  return pending->prepared->decoded_bytes();
}

void Engine::Impl::HandOver(const std::shared_ptr<PendingRequest>& pending) {
  if (pending->over() || preparation.closed() || !pending->Take()) return;
  const std::optional<Error> error = ErrorOf([&] {
    auto live = std::make_shared<LiveRequest>(loaded(), std::move(pending->prepared),
                                              pending->events, RequestHooks{}, pending->number);
    live->cancelled = pending->cancelled;
    live->place = std::move(pending->place);
    loop.Submit(std::move(live));
  });
  if (error) Refuse(pending, *error);
}

Submission Engine::Submit(Request request, SubmissionEvents events) {
  CheckRequest(request, impl_->options, impl_->info.vocabulary);
  auto pending = std::make_shared<PendingRequest>();
  pending->start = Clock::now();
  pending->place = impl_->admission.Enter(request);
  pending->number = impl_->next_number++;
  pending->deadline = request.deadline;
  pending->id = request.id;
  pending->answers = request.generation.n;
  Submission submission;
  submission.state_ = std::make_shared<Submission::State>();
  pending->cancelled = {submission.state_, &submission.state_->cancelled};
  pending->forget = [impl = impl_.get(), number = pending->number] {
    impl->preparation.Drop(number);
  };
  pending->events = std::move(events);
  if (pending->events.on_finished) {
    pending->events.on_finished = [impl = impl_.get(),
                                   finished = std::move(pending->events.on_finished)](Response r) {
      r.timings.load = impl->load_ms;
      finished(std::move(r));
    };
  }
  const int64_t priority = request.priority;
  const bool takes_long = TakesLongToRead(request, impl_->constraints);
  pending->request = std::move(request);
  impl_->loop.Expect(pending);
  impl_->preparation.Read({.id = pending->number,
                           .priority = priority,
                           .takes_long = takes_long,
                           .task = [impl = impl_.get(), pending] { impl->Read(pending); }});
  return submission;
}

Explanation Engine::Explain(const Request& request, const ExplainOptions& options,
                            const Observer& observer) {
  CheckRequest(request, impl_->options, impl_->info.vocabulary);
  return ExplainRequest(EngineAccess(*this), request, options, observer);
}

void Engine::CheckImage(const ImageInput& image) const { impl_->images.ReadPixels(image); }

Embedding Engine::EmbedImage(const ImageInput& image, const EmbeddingOptions& options,
                             const Observer& observer) {
  return EmbedPicture(EngineAccess(*this), image, options, observer);
}

Embedding Engine::EmbedText(const std::string& text, const EmbeddingOptions& options,
                            const Observer& observer) {
  return EmbedWords(EngineAccess(*this), text, options, observer);
}

LoadedModel EngineAccess::loaded() const { return engine_.impl_->loaded(); }

Response EngineAccess::Run(std::unique_ptr<PreparedRequest> prepared, const Observer& observer,
                           RequestHooks hooks) const {
  constexpr std::chrono::milliseconds kLook{20};
  std::unique_lock alone(engine_.impl_->watching, std::defer_lock);
  while (hooks.watches() && !alone.try_lock_for(kLook)) {
    CheckDeadline(prepared->request);
    if (observer.keep_going && !observer.keep_going())
      throw Error(Code::kCancelled, "request: its caller left while it waited");
  }
  return engine_.impl_->Run(std::move(prepared), observer, std::move(hooks));
}

void EngineAccess::Use(const std::function<void()>& use) const { engine_.impl_->loop.Use(use); }

ImageCacheInfo Engine::image_cache() const {
  const ImageCacheCounters c = impl_->images.counters();
  return {.hits = c.hits,
          .misses = c.misses,
          .evictions = c.evictions,
          .entries = c.entries,
          .bytes = c.bytes};
}

EngineStats Engine::stats() const {
  EngineStats stats = impl_->loop.stats();
  stats.queued = impl_->admission.requests();
  return stats;
}

}  // namespace binocle
