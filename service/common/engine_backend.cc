#include "service/common/engine_backend.h"

#include <algorithm>
#include <utility>

#include "binocle/busy_error.h"
#include "binocle/engine.h"
#include "service/common/text.h"

namespace binocle {
namespace {

void CheckGoing(const ModelBackend::KeepGoing& keep_going) {
  if (keep_going && !keep_going()) throw Error(Code::kCancelled, "the caller has gone");
}

// Log-probabilities make all but the whole of an answer that has them: of a vocabulary, for many tokens and answers, gigabytes in memory and
// more than a message may have. A million are tens of megabytes.
void CheckSize(const GenerationOptions& options, const ModelInfo& info) {
  constexpr int64_t kMostLogprobs = 1'000'000;
  const int64_t tokens = options.n * std::min(options.max_new_tokens, info.context_tokens);
  const int64_t most = kMostLogprobs / std::max<int64_t>(tokens, 1);
  if (options.logprobs <= most) return;
  throw Error(Code::kInvalidArgument,
              Text("logprobs is ", options.logprobs, ", expected at most ", most, " for ", tokens,
                   " tokens, ", kMostLogprobs, " in all"),
              "logprobs");
}

class EngineBackend final : public ModelBackend {
 public:
  explicit EngineBackend(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  const ModelInfo& info() const override { return engine_->info(); }

  void CheckRoom() const override {
    const int64_t waiting = engine_->stats().queued;
    if (waiting >= engine_->options().max_queued_requests)
      throw BusyError(Text("queue: ", waiting, " requests wait, as many as may; try again later"));
  }
  Cancel Submit(Request request, SubmissionEvents events) override {
    CheckSize(request.generation, info());
    return [submission = engine_->Submit(std::move(request), std::move(events))]() mutable {
      submission.Cancel();
    };
  }

  Explanation Explain(const Request& request, const ExplainOptions& options,
                      const KeepGoing& keep_going) override {
    CheckGoing(keep_going);
    CheckSize(request.generation, info());
    CheckExplanationSize(request, info());
    Explanation explanation =
        engine_->Explain(request, options, {.on_delta = {}, .keep_going = keep_going});
    CheckGoing(keep_going);
    return explanation;
  }

  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& options,
                       const KeepGoing& keep_going) override {
    return engine_->EmbedImage(image, options, {.on_delta = {}, .keep_going = keep_going});
  }
  Embedding EmbedText(const std::string& text, const EmbeddingOptions& options,
                      const KeepGoing& keep_going) override {
    return engine_->EmbedText(text, options, {.on_delta = {}, .keep_going = keep_going});
  }

  std::string TokenText(int32_t id) const override { return engine_->TokenText(id); }

 private:
  std::shared_ptr<Engine> engine_;  // shared with the program
};

}  // namespace

void CheckExplanationSize(const Request& request, const ModelInfo& info) {
  constexpr int64_t kMostWeights = 50'000'000;
  int64_t pictures = 0;
  for (const Message& message : request.messages) pictures += std::ssize(message.images);
  const int64_t visual = std::min(pictures * info.image_tokens, info.context_tokens);
  const int64_t tokens = std::min(request.generation.max_new_tokens, info.context_tokens);
  const int64_t most = kMostWeights / std::max<int64_t>(visual, 1);
  if (tokens <= most) return;
  throw Error(Code::kInvalidArgument,
              Text("max_new_tokens is ", request.generation.max_new_tokens, ", expected at most ",
                   most, " for an explanation with ", visual, " visual tokens"),
              "max_new_tokens");
}

std::shared_ptr<ModelBackend> MakeEngineBackend(std::shared_ptr<Engine> engine) {
  return std::make_shared<EngineBackend>(std::move(engine));
}

}  // namespace binocle
