// A model that does what the prompt says, on a thread of its own for each request:
//   "say WORDS…"       a delta for each word, and the end
//   "count N"          N deltas, a millisecond apart
//   "bytes N"          a delta of so many
//   "forever"          deltas a millisecond apart, until cancelled
//   "flood"            deltas of 16 KiB as fast as they are taken, until cancelled
//   "sleep"            nothing, until cancelled or the deadline
//   "fail CODE"        on_error with that code
//   "refuse MESSAGE"   on_error with INVALID_ARGUMENT and that message
//   "throw"            Submit, Explain and Embed throw RESOURCE_EXHAUSTED
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "binocle/busy_error.h"
#include "service/common/model_backend.h"
#include "tests/service/grpc/testing.h"

namespace binocle::testing {

class FakeBackend final : public ModelBackend {
 public:
  ~FakeBackend() override {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  const ModelInfo& info() const override { return info_; }

  std::atomic<bool> full = false;
  void CheckRoom() const override {
    if (full) throw BusyError("queue: is full");
  }
  Cancel Submit(Request request, SubmissionEvents events) override {
    ThrowIfAsked(request);
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    const std::lock_guard lock(mutex_);
    last_ = request;
    ++running;
    threads_.emplace_back(
        [this, request = std::move(request), events = std::move(events), cancelled] {
          Run(request, events, *cancelled);
          --running;
        });
    return [cancelled] { *cancelled = true; };
  }

  Explanation Explain(const Request& request, const ExplainOptions&,
                      const KeepGoing& keep_going) override {
    ThrowIfAsked(request);
    ++running;
    while (request.messages[0].text == "sleep" && keep_going() && !stop_) Pause();
    --running;
    if (!keep_going()) throw Error(Code::kCancelled, "cancelled");
    Explanation explanation;
    explanation.response.answers.push_back({.text = "seen"});
    explanation.rows = 3;
    return explanation;
  }

  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions&,
                       const KeepGoing&) override {
    return {1, 1, {static_cast<float>(image.bytes->size())}};
  }
  Embedding EmbedText(const std::string& text, const EmbeddingOptions&, const KeepGoing&) override {
    return {1, 1, {static_cast<float>(text.size())}};
  }

  std::string TokenText(int32_t) const override { return "x"; }

  Request last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  std::atomic<int> running = 0;    // requests under way
  std::atomic<int> cancelled = 0;  // that ended so

 private:
  static void Pause() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }
  static void ThrowIfAsked(const Request& request) {
    if (request.messages[0].text == "throw") throw BusyError("the queue is full");
  }

  void Run(const Request& request, const SubmissionEvents& events,
           const std::atomic<bool>& cancel) {
    std::istringstream words(request.messages[0].text);
    std::string verb, word;
    words >> verb;
    if (verb == "fail") {
      int code = 0;
      words >> code;
      events.on_error(Error(static_cast<Code>(code), "failed"));
      return;
    }
    if (verb == "refuse") {
      events.on_error(Error(Code::kInvalidArgument, request.messages[0].text.substr(7)));
      return;
    }
    if (events.on_started) events.on_started({.prompt_tokens = 7, .image_tokens = 3});
    Response response;
    response.id = request.id;
    Answer answer;
    const auto add = [&](const std::string& text) {
      answer.text += text;
      answer.token_ids.push_back(static_cast<int32_t>(answer.token_ids.size()));
      if (events.on_delta)
        events.on_delta({.answer = 0, .text = text, .token_ids = {answer.token_ids.back()}});
    };
    int count = 0;
    if (verb == "count") words >> count;
    size_t bytes = 0;
    if (verb == "bytes" && words >> bytes) add(std::string(bytes, 'b'));
    while (verb == "say" && words >> word) add(word);
    for (int i = 0; i < count && !cancel; ++i, Pause()) add("x");
    const std::string flood(16384, 'f');
    while ((verb == "forever" || verb == "flood" || verb == "sleep") && !cancel && !stop_) {
      if (request.deadline && std::chrono::steady_clock::now() >= *request.deadline) {
        events.on_error(Error(Code::kDeadlineExceeded, "too late"));
        return;
      }
      if (verb == "flood") add(flood);
      if (verb == "forever") add("x");
      if (verb != "flood") Pause();
    }
    if (cancel) ++cancelled;
    answer.finish_reason = cancel ? FinishReason::kCancelled : FinishReason::kStop;
    response.answers.push_back(std::move(answer));
    events.on_finished(std::move(response));
  }

  const ModelInfo info_ = SmallModel();
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  Request last_;
  std::vector<std::thread> threads_;
};

}  // namespace binocle::testing
