#include "service/common/engine_backend.h"

#include <utility>

#include "binocle/engine.h"

namespace binocle {
namespace {

void CheckGoing(const ModelBackend::KeepGoing& keep_going) {
  if (keep_going && !keep_going()) throw Error(Code::kCancelled, "the caller has gone");
}

class EngineBackend final : public ModelBackend {
 public:
  explicit EngineBackend(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  const ModelInfo& info() const override { return engine_->info(); }

  Cancel Submit(Request request, SubmissionEvents events) override {
    return [submission = engine_->Submit(std::move(request), std::move(events))]() mutable {
      submission.Cancel();
    };
  }

  Explanation Explain(const Request& request, const ExplainOptions& options,
                      const KeepGoing& keep_going) override {
    CheckGoing(keep_going);
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

std::shared_ptr<ModelBackend> MakeEngineBackend(std::shared_ptr<Engine> engine) {
  return std::make_shared<EngineBackend>(std::move(engine));
}

}  // namespace binocle
