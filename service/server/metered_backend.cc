#include "service/server/metered_backend.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "binocle/error.h"

namespace binocle {
namespace {

using Clock = std::chrono::steady_clock;

// One request, from the call on. Events come one at a time.
class MeteredRequest {
 public:
  MeteredRequest(std::shared_ptr<Metrics::Model> metrics, int64_t answers)
      : metrics_(std::move(metrics)),
        last_token_(static_cast<size_t>(std::max<int64_t>(answers, 1))) {}

  void Started(const binocle::Started& started) {
    metrics_->Queued(Clock::now() - start_);
    metrics_->Prompt(started.prompt_tokens, started.image_tokens);
  }

  void Tokens(const Delta& delta) {
    const auto count = std::ssize(delta.token_ids);
    const auto answer = static_cast<size_t>(delta.answer);
    if (count == 0 || answer >= last_token_.size()) return;
    const Clock::time_point now = Clock::now();
    std::optional<Clock::time_point>& last = last_token_[answer];
    if (last) {
      metrics_->NextTokens(now - *last, count);
    } else if (std::exchange(first_, false)) {
      metrics_->FirstToken(now - start_);
    }
    last = now;
    metrics_->Completion(count);
  }

  void Finished(const Response& response) {
    // Several answers: the least ordinary end.
    FinishReason reason = FinishReason::kStop;
    for (const Answer& answer : response.answers) reason = std::max(reason, answer.finish_reason);
    metrics_->Ended(FinishReasonName(reason), Clock::now() - start_);
  }
  void Failed(const Error& error) {
    metrics_->Ended(CodeName(error.code()), Clock::now() - start_);
  }

 private:
  const std::shared_ptr<Metrics::Model> metrics_;  // owned with the backend
  const Clock::time_point start_ = Clock::now();
  bool first_ = true;  // no token yet
  std::vector<std::optional<Clock::time_point>> last_token_;
};

class MeteredBackend final : public ModelBackend {
 public:
  MeteredBackend(std::shared_ptr<ModelBackend> model, const std::string& name,
                 std::shared_ptr<Metrics> metrics, std::chrono::milliseconds timeout)
      : model_(std::move(model)),
        metrics_(std::make_shared<Metrics::Model>(std::move(metrics), name)),
        timeout_(timeout) {}

  const ModelInfo& info() const override { return model_->info(); }

  void CheckRoom() const override { model_->CheckRoom(); }
  Cancel Submit(Request request, SubmissionEvents events) override {
    LimitTime(request);
    // Owned by the events.
    const auto metered = std::make_shared<MeteredRequest>(metrics_, request.generation.n);
    SubmissionEvents both{
        .on_started =
            [metered, next = std::move(events.on_started)](const Started& started) {
              metered->Started(started);
              if (next) next(started);
            },
        .on_delta =
            [metered, next = std::move(events.on_delta)](const Delta& delta) {
              metered->Tokens(delta);
              if (next) next(delta);
            },
        .on_finished =
            [metered, next = std::move(events.on_finished)](Response response) {
              metered->Finished(response);
              if (next) next(std::move(response));
            },
        .on_error =
            [metered, next = std::move(events.on_error)](const Error& error) {
              metered->Failed(error);
              if (next) next(error);
            }};
    try {
      return model_->Submit(std::move(request), std::move(both));
    } catch (const Error& error) {
      metered->Failed(error);
      throw;
    }
  }

  Explanation Explain(const Request& request, const ExplainOptions& options,
                      const KeepGoing& keep_going) override {
    Request limited = request;
    LimitTime(limited);
    return model_->Explain(limited, options, keep_going);
  }
  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& options,
                       const KeepGoing& keep_going) override {
    return model_->EmbedImage(image, options, keep_going);
  }
  Embedding EmbedText(const std::string& text, const EmbeddingOptions& options,
                      const KeepGoing& keep_going) override {
    return model_->EmbedText(text, options, keep_going);
  }
  std::string TokenText(int32_t id) const override { return model_->TokenText(id); }

  void LimitTime(Request& request) const override {
    if (timeout_ == timeout_.zero()) return;
    const auto limit = Clock::now() + timeout_;
    request.deadline = std::min(request.deadline.value_or(limit), limit);
  }

 private:
  std::shared_ptr<ModelBackend> model_;      // shared with the server
  std::shared_ptr<Metrics::Model> metrics_;  // shared with the requests
  const std::chrono::milliseconds timeout_;
};

}  // namespace

std::shared_ptr<ModelBackend> Metered(std::shared_ptr<ModelBackend> model, const std::string& name,
                                      std::shared_ptr<Metrics> metrics,
                                      std::chrono::milliseconds timeout) {
  return std::make_shared<MeteredBackend>(std::move(model), name, std::move(metrics), timeout);
}

}  // namespace binocle
