// What the next step does: a pure function of what runs, what waits and what there is.
//
// A lane is one answer on its way, one sequence or two (guidance and VCD pair two). It waits, holding no pages, or it runs, holding the
// pages of all its positions. A step gives rows of the pass to running lanes: first to those that are one token from their next token,
// so that answers go on evenly; what is left goes to prompts, in order. Lanes are ordered by priority, then by arrival.
//
//   - Waiting lanes are let in strictly in order, while sequences, pages and rows last: nobody is overtaken by somebody smaller.
//   - Where pages run out, prompts that are only kept for later answers are dropped, then the last running lanes go back to waiting, to
//     be computed again; the first running lane, or one that cannot go back, always goes on. A plan that makes room so takes one of these measures and nothing
//     else: what it frees depends on who shares which pages, which the next look shows.
//   - Beside answers that go on, prompts get a quarter of the rows at most, so that the time between tokens stays bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace binocle {

struct WaitingLane {
  int64_t id = 0;
  int64_t priority = 0;
  int64_t arrival = 0;     // unique
  int64_t request = 0;     // lanes of one request share its pictures and its kept prompt
  int64_t sequences = 1;   // 1 or 2
  int64_t pages = 0;       // that letting it in takes, beyond those that others use too
  int64_t rows[2] = {};    // of each sequence until its next token
  bool has_images = true;  // its request's pictures are encoded
};

struct RunningLane {
  int64_t id = 0;
  int64_t priority = 0;
  int64_t arrival = 0;
  int64_t sequences = 1;
  int64_t rows[2] = {};   // of each sequence until its next token
  bool decoding = false;  // every sequence is at the token that was chosen last
  int64_t pages = 0;      // that its next token takes; 0 unless it is decoding
  bool pinned = false;    // cannot go back: somebody watches its rows
};

// A prompt that is computed and kept for answers of its request that wait.
struct KeptPrompt {
  int64_t request = 0;
  int64_t arrival = 0;
};

struct SchedulerState {
  std::span<const WaitingLane> waiting;
  std::span<const RunningLane> running;
  std::span<const KeptPrompt> prompts;
  int64_t free_pages = 0;
  int64_t evictable_pages = 0;  // of the prefix index
};

struct StepBudget {
  int64_t rows = 512;      // of a pass
  int64_t sequences = 16;  // running at a time
};

struct StepPlan {
  struct Rows {
    int64_t lane = 0;
    int64_t rows[2] = {};  // of each sequence
  };
  // At most one of these, and then nothing else.
  std::optional<int64_t> drop_prompt;  // a request
  std::optional<int64_t> preempt;      // a lane
  std::optional<int64_t> starved;      // a lane that needs more pages than there are

  std::vector<int64_t> admit;  // lanes
  std::optional<int64_t>
      encode;  // a waiting lane whose request's next picture goes through the towers
  std::vector<Rows> rows;

  bool makes_room() const { return drop_prompt || preempt || starved; }
  bool empty() const { return !makes_room() && admit.empty() && !encode && rows.empty(); }
};

StepPlan Schedule(const SchedulerState& state, const StepBudget& budget);

}  // namespace binocle
