#include "service/engine/scheduler.h"

#include <algorithm>
#include <tuple>

namespace binocle {
namespace {

constexpr int64_t kPromptShare = 4;  // of the rows, beside answers that go on

template <typename Lane>
std::vector<const Lane*> InOrder(std::span<const Lane> lanes) {
  std::vector<const Lane*> order;
  for (const Lane& lane : lanes) order.push_back(&lane);
  std::sort(order.begin(), order.end(), [](const Lane* a, const Lane* b) {
    return std::tuple(-a->priority, a->arrival) < std::tuple(-b->priority, b->arrival);
  });
  return order;
}

class Planner {
 public:
  Planner(const SchedulerState& state, const StepBudget& budget)
      : budget_(budget),
        running_(InOrder(state.running)),
        waiting_(InOrder(state.waiting)),
        prompts_(state.prompts.begin(), state.prompts.end()),
        pages_(state.free_pages + state.evictable_pages),
        rows_(budget.rows) {
    std::sort(prompts_.begin(), prompts_.end(),
              [](const KeptPrompt& a, const KeptPrompt& b) { return a.arrival < b.arrival; });
  }

  StepPlan Plan() {
    if (MakeRoom()) return std::move(plan_);
    GiveRowsToAnswers();
    const int64_t share = answers_ > 0 ? std::max<int64_t>(budget_.rows / kPromptShare, 1) : rows_;
    rows_ = std::min(rows_, share);
    GiveRowsToPrompts();
    LetIn();
    return std::move(plan_);
  }

 private:
  // False when there are pages for the next token of every lane that is due one; they are set aside.
  bool MakeRoom() {
    int64_t wanted = 0;
    for (const RunningLane* lane : running_) wanted += lane->pages;
    if (wanted <= pages_) {
      pages_ -= wanted;
      return false;
    }
    if (DropPrompt(-1)) return true;
    // Beside one that cannot go back even the first can: somebody goes on.
    const bool pinned = std::any_of(running_.begin(), running_.end(),
                                    [](const RunningLane* lane) { return lane->pinned; });
    const auto first = pinned ? running_.rend() : running_.rend() - 1;
    const auto victim = std::find_if(running_.rbegin(), first,
                                     [](const RunningLane* lane) { return !lane->pinned; });
    if (victim != first) {
      plan_.preempt = (*victim)->id;
    } else {  // one lane, or lanes that cannot go back: the last of them ends
      plan_.starved = running_.back()->id;
    }
    return true;
  }

  // The latest kept prompt that is not `request`'s; -1: the latest.
  bool DropPrompt(int64_t request) {
    const auto victim = std::find_if(prompts_.rbegin(), prompts_.rend(),
                                     [&](const KeptPrompt& p) { return p.request != request; });
    if (victim == prompts_.rend()) return false;
    plan_.drop_prompt = victim->request;
    return true;
  }

  void GiveRowsToAnswers() {
    for (const RunningLane* lane : running_) {
      if (!lane->decoding || lane->sequences > rows_) continue;
      plan_.rows.push_back({.lane = lane->id, .rows = {lane->rows[0], lane->rows[1]}});
      rows_ -= lane->sequences;
      ++answers_;
    }
  }

  void GiveRowsToPrompts() {
    for (const RunningLane* lane : running_) {
      if (!lane->decoding) GiveRows(lane->id, lane->rows);
      sequences_ += lane->sequences;
    }
  }

  void GiveRows(int64_t lane, const int64_t (&wanted)[2]) {
    StepPlan::Rows given{.lane = lane};
    for (int s = 0; s < 2; ++s) {
      given.rows[s] = std::min(wanted[s], rows_);
      rows_ -= given.rows[s];
    }
    if (given.rows[0] + given.rows[1] > 0) plan_.rows.push_back(given);
  }

  void LetIn() {
    // A page for the next token of everybody who runs stays free, so that who comes in does not push out who is there.
    int64_t reserve = std::ssize(running_);
    for (const WaitingLane* lane : waiting_) {
      if (sequences_ + lane->sequences > budget_.sequences || rows_ == 0) return;
      const bool alone = running_.empty() && plan_.admit.empty();
      if (lane->pages + (alone ? 0 : reserve) > pages_) {
        // Its own goes last: without it the lane computes the prompt again, in pages that the prefix index may still have.
        if (alone && !DropPrompt(lane->request) && !DropPrompt(-1)) plan_.starved = lane->id;
        return;
      }
      if (!lane->has_images) {
        plan_.encode = lane->id;
        return;
      }
      pages_ -= lane->pages;
      sequences_ += lane->sequences;
      ++reserve;
      plan_.admit.push_back(lane->id);
      GiveRows(lane->id, lane->rows);
    }
  }

  StepBudget budget_;
  std::vector<const RunningLane*> running_;
  std::vector<const WaitingLane*> waiting_;
  std::vector<KeptPrompt> prompts_;
  int64_t pages_;
  int64_t rows_;
  int64_t sequences_ = 0;
  int64_t answers_ = 0;
  StepPlan plan_;
};

}  // namespace

StepPlan Schedule(const SchedulerState& state, const StepBudget& budget) {
  return Planner(state, budget).Plan();
}

}  // namespace binocle
