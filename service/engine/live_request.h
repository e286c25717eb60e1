// A request on the engine, and its answers: lanes, each one answer on its way.
//
// What belongs to whom, and on which thread, is in CONTRACT.md.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llm/sampling.h"
#include "service/engine/admission.h"
#include "service/engine/answer_builder.h"
#include "service/engine/prepared_request.h"
#include "service/engine/token_times.h"

namespace binocle {

// What requests from within this library may ask beside what the public ones can. All of it is called on the engine's thread. Requests
// that watch rows are never sent back to wait, since their rows would be seen twice.
struct RequestHooks {
  RowObserver* rows = nullptr;  // the attention of rows that give tokens
  LayerInputObserver* inputs =
      nullptr;  // the prompt, its pictures included, and the answer enter every layer
  // Before each token is chosen, with its number in the answer.
  std::function<void(int64_t token, const SequenceWatch& watch)> before_token;
  // Before each token is chosen or scored: the model's own logits [V] for it, nothing intervened on.
  std::function<void(std::span<const float> logits)> logits;
  std::function<void(std::unique_ptr<SequenceWatch>)> take_watch;  // after the last token
  std::function<bool()>
      keep_going;  // before each step that the request is part of; false cancels it
  // Instead of choosing tokens: these, one after the other; their log-probabilities go to `scores`. With none, the prompt alone is
  // computed.
  struct Scoring {
    std::span<const int32_t> tokens;
    std::vector<double>* scores = nullptr;
  };
  std::optional<Scoring> scoring;
  Tensor* states = nullptr;  // [T, D] where the prompt's states go; a prompt without pictures

  bool watches() const { return rows != nullptr || inputs != nullptr; }
};

// Logits of the main sequence and, where it is paired, of the other one.
struct LaneLogits {
  std::vector<float> main, other;
};

// The sequences of an answer.
struct LaneSequences {
  RunningSequence main;
  std::optional<RunningSequence> other;
};
// Empty ones.
LaneSequences NewSequences(KvPool& pool, bool paired);

class LiveRequest;

// One answer on its way. Waiting it holds no pages; running it holds those of all its positions.
struct Lane {
  Lane(LiveRequest& of, int64_t answer_index, const LoadedModel& m);

  LiveRequest& request;
  int64_t index;  // of the answer
  int64_t id;     // also its arrival: earlier requests first, then earlier answers
  bool running = false;
  LaneSequences sequences;
  LaneLogits logits;
  Sampler sampler;
  std::optional<int32_t> sampled;  // by the GPU, of logits that have stayed there
  AnswerBuilder builder;
  std::optional<ConstrainedAnswer> constrained;
  std::vector<int32_t> tokens;   // chosen so far; the last one may not be computed yet
  std::optional<Answer> answer;  // when it has ended

  SequenceTokens main_tokens() const;
  SequenceTokens other_tokens() const;
  // Whether nobody but the sampler looks at its logits, so that they need not come to the host.
  bool only_samples() const;
  // RESOURCE_EXHAUSTED: it does not fit so many pages of keys and values.
  Error TooLargeFor(int64_t pages) const;
};

Error DeadlinePassed();
// Throws that when the request's deadline has passed.
void CheckDeadline(const Request& request);

class LiveRequest {
 public:
  using Clock = PreparedRequest::Clock;
  static constexpr int64_t kMostAnswers = 64;

  // `number`: unique, increasing.
  LiveRequest(const LoadedModel& loaded, std::unique_ptr<PreparedRequest> prepared,
              SubmissionEvents events, RequestHooks hooks, int64_t number);

  const Request& asked() const { return prepared->request; }
  bool paired() const { return prepared->paired(); }
  // Pictures that have yet to go through the towers: those of the prompt, then under noise for VCD.
  bool has_images() const;
  bool ended() const { return ended_; }
  // It may begin with pages of others and leave them its own. Not where rows are watched or changed, which needs all of them computed.
  bool shareable() const { return shareable_; }
  // What its main sequences are watched for; key gains are yet to come.
  const WatchPlan& watch_plan() const { return watch_plan_; }

  // Exactly one of these, once. Cancel ends every answer where it is.
  void Finish();
  void Cancel();
  void Fail(const Error& error);
  // Calls the last event, when the request's pages are back and the statistics know.
  void Report();
  // All answers are there.
  bool done() const;

  std::unique_ptr<PreparedRequest> prepared;
  SubmissionEvents events;
  RequestHooks hooks;
  int64_t number;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<Admission::Place> place;        // in the queue, until the request starts
  std::vector<SharedImage> images, other_images;  // by picture, as they are encoded
  std::optional<TorchNormal> noise;               // of VCD
  std::vector<std::unique_ptr<Lane>>
      lanes;  // by answer; the first alone until the prompt is computed
  Response response;
  TokenTimes times;
  std::optional<Clock::time_point> prefill_start;

  // The computed prompt, for answers that have yet to begin.
  struct KeptPrompt {
    LaneSequences sequences;
    LaneLogits logits;
  };
  std::optional<KeptPrompt> kept;

 private:
  bool ended_ = false;
  WatchPlan watch_plan_;
  bool shareable_ = true;
  std::optional<Error> error_;
  Observer observer_;  // what lanes' builders report to
  friend struct Lane;
};

}  // namespace binocle
