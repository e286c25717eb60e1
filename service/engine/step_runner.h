// Carries out the scheduler's plans: pictures through the towers, pages given and taken, one pass through the decoder, a token for every
// answer that is due one. On the engine's thread alone.
#pragma once

#include <memory>
#include <vector>

#include "service/engine/live_request.h"
#include "service/engine/scheduler.h"

namespace binocle {

// What steps have done.
struct StepCounters {
  int64_t steps = 0;
  int64_t prompt_rows = 0;    // rows of prompts, recomputed ones included
  int64_t answer_tokens = 0;  // chosen
  int64_t preemptions = 0;
  int64_t prefix_tokens = 0;  // prompt positions that were there already
};

class StepRunner {
 public:
  StepRunner(LoadedModel loaded, StepBudget budget) : m_(loaded), budget_(budget) {}

  void Add(std::shared_ptr<LiveRequest> request);
  // Ends requests that are cancelled or late, then takes a step. An error that one request causes ends that request alone.
  void Step();
  void CancelAll();
  // Reports what has ended since the last call.
  void ReportEnds();

  bool idle() const { return requests_.empty(); }
  int64_t requests() const { return std::ssize(requests_); }
  int64_t running_lanes() const;
  const StepCounters& counters() const { return counters_; }

 private:
  struct Views;

  void EndTheCancelledAndLate();
  void PutAsideTheEnded();
  void Look(Views& views);
  StepPlan Plan();
  void MakeRoom(const StepPlan& plan);
  Lane* Find(int64_t id);
  void Preempt(Lane& lane);
  void Started(LiveRequest& request);
  void Admit(Lane& lane);
  void EncodeNext(LiveRequest& request);
  void Watch(Lane& lane);
  void BeginSequence(const SequenceTokens& tokens, bool shareable, RunningSequence& sequence);
  void Grow(const SequenceTokens& tokens, RunningSequence& sequence);
  void Execute(const StepPlan& plan);
  void Forward(const StepPlan& plan);
  void ChooseTokens();
  void PromptComputed(Lane& lane);
  void Choose(Lane& lane);
  void Score(Lane& lane);
  void End(Lane& lane, FinishReason reason);

  // Runs `action`; what it throws ends the request.
  template <typename Action>
  bool Guarded(LiveRequest& request, const Action& action);

  LoadedModel m_;
  StepBudget budget_;
  std::vector<std::shared_ptr<LiveRequest>>
      requests_;  // owned together with Submission and the loop's inbox
  std::vector<std::shared_ptr<LiveRequest>> ended_;  // not reported yet
  StepCounters counters_;
};

}  // namespace binocle
