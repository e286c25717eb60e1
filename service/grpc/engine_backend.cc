#include "service/grpc/engine_backend.h"

#include <utility>

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

  EmbedOutput Embed(const EmbedInput& input, const KeepGoing& keep_going) override {
    if (!input.texts.empty())
      throw Error(Code::kUnimplemented, "texts are not embedded by this version, expected images");
    EmbedOutput output;
    for (const ImageInput& image : input.images) {
      CheckGoing(keep_going);
      output.images.push_back(
          PoolVisualTokens(engine_->EmbedImage(image, {.pooling = Pooling::kTokens}), input.pooling,
                           input.normalize));
    }
    return output;
  }

 private:
  std::shared_ptr<Engine> engine_;  // shared with the program
};

}  // namespace

std::shared_ptr<ModelBackend> MakeEngineBackend(std::shared_ptr<Engine> engine) {
  return std::make_shared<EngineBackend>(std::move(engine));
}

}  // namespace binocle
