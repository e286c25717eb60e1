// Scripts for the scheduler: states in, plans out, no model.
#include "service/engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace binocle {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

WaitingLane Waiting(int64_t id, int64_t pages, int64_t rows) {
  return {.id = id, .arrival = id, .request = id, .pages = pages, .rows = {rows, 0}};
}
RunningLane Decoding(int64_t id, int64_t pages) {
  return {.id = id, .arrival = id, .rows = {1, 0}, .decoding = true, .pages = pages};
}
RunningLane Prompt(int64_t id, int64_t rows) {
  return {.id = id, .arrival = id, .rows = {rows, 0}};
}

// What one test sets up.
struct Script {
  std::vector<WaitingLane> waiting;
  std::vector<RunningLane> running;
  std::vector<KeptPrompt> prompts;
  int64_t free_pages = 100;
  int64_t evictable_pages = 0;
  StepBudget budget{.rows = 64, .sequences = 4};

  StepPlan Plan() const {
    return Schedule({.waiting = waiting,
                     .running = running,
                     .prompts = prompts,
                     .free_pages = free_pages,
                     .evictable_pages = evictable_pages},
                    budget);
  }
};

std::map<int64_t, int64_t> RowsByLane(const StepPlan& plan) {
  std::map<int64_t, int64_t> rows;
  for (const StepPlan::Rows& r : plan.rows) rows[r.lane] = r.rows[0] + r.rows[1];
  return rows;
}

using Rows = std::map<int64_t, int64_t>;

TEST(Scheduler, NothingToDoIsAnEmptyPlan) { EXPECT_TRUE(Script().Plan().empty()); }

TEST(Scheduler, APromptComesInAndIsCutByTheRowsOfAPass) {
  const Script script{.waiting = {Waiting(1, 3, 150)}};
  EXPECT_THAT(script.Plan().admit, ElementsAre(1));
  EXPECT_EQ(RowsByLane(script.Plan()), (Rows{{1, 64}}));
}

TEST(Scheduler, SeveralPromptsShareAPassInOrder) {
  const Script script{.waiting = {Waiting(3, 1, 30), Waiting(1, 1, 20), Waiting(2, 1, 30)}};
  EXPECT_THAT(script.Plan().admit, ElementsAre(1, 2, 3));
  EXPECT_EQ(RowsByLane(script.Plan()), (Rows{{1, 20}, {2, 30}, {3, 14}}));
}

TEST(Scheduler, AnswersGoOnAndPromptsGetAQuarterBeside) {
  const Script script{.waiting = {Waiting(9, 1, 10)},
                      .running = {Decoding(1, 0), Decoding(2, 0), Prompt(3, 50)}};
  EXPECT_EQ(RowsByLane(script.Plan()), (Rows{{1, 1}, {2, 1}, {3, 16}}));
  EXPECT_THAT(script.Plan().admit, IsEmpty()) << "no row is left for it";
}

TEST(Scheduler, NobodyIsOvertakenBySomebodySmaller) {
  const Script script{.waiting = {Waiting(1, 101, 10), Waiting(2, 1, 10)},
                      .running = {Decoding(5, 0)}};
  EXPECT_THAT(script.Plan().admit, IsEmpty());
}

TEST(Scheduler, PriorityComesBeforeArrival) {
  Script script{.waiting = {Waiting(1, 1, 10), Waiting(2, 1, 10)},
                .budget = {.rows = 10, .sequences = 4}};
  script.waiting[1].priority = 1;
  EXPECT_THAT(script.Plan().admit, ElementsAre(2));
}

TEST(Scheduler, SequencesAreCountedAndPairsCountTwice) {
  Script script{.waiting = {Waiting(1, 1, 5), Waiting(2, 1, 5)}, .running = {Decoding(0, 0)}};
  script.waiting[0].sequences = script.waiting[1].sequences = 2;
  EXPECT_THAT(script.Plan().admit, ElementsAre(1));
}

TEST(Scheduler, PagesOfThePrefixIndexCountAsFree) {
  Script script{.waiting = {Waiting(1, 10, 5)}, .free_pages = 4, .evictable_pages = 6};
  EXPECT_THAT(script.Plan().admit, ElementsAre(1));
}

TEST(Scheduler, WhoComesInLeavesAPageForEveryoneThere) {
  Script script{.waiting = {Waiting(1, 10, 5)}, .running = {Decoding(0, 0)}, .free_pages = 10};
  EXPECT_THAT(script.Plan().admit, IsEmpty());
  script.free_pages = 11;
  EXPECT_THAT(script.Plan().admit, ElementsAre(1));
}

TEST(Scheduler, APictureIsEncodedWhenItsRequestWouldComeIn) {
  Script script{.waiting = {Waiting(1, 10, 5), Waiting(2, 1, 5)}};
  script.waiting[0].has_images = false;
  StepPlan plan = script.Plan();
  EXPECT_EQ(plan.encode, 1);
  EXPECT_THAT(plan.admit, IsEmpty());
  script.running = {Decoding(0, 0)};
  script.free_pages = 10;
  plan = script.Plan();
  EXPECT_FALSE(plan.encode.has_value()) << "it does not fit, so its picture can wait";
}

TEST(Scheduler, TheLastAnswerGoesBackWhenPagesRunOut) {
  Script script{.running = {Decoding(1, 1), Decoding(2, 1), Decoding(3, 1)}, .free_pages = 2};
  const StepPlan plan = script.Plan();
  EXPECT_EQ(plan.preempt, 3);
  EXPECT_THAT(plan.rows, IsEmpty()) << "what that frees is seen first";
}

TEST(Scheduler, PromptsKeptForLaterGoBeforeAnswers) {
  Script script{.running = {Decoding(1, 1), Decoding(2, 1)},
                .prompts = {{.request = 7, .arrival = 7}, {.request = 8, .arrival = 8}},
                .free_pages = 1};
  const StepPlan plan = script.Plan();
  EXPECT_EQ(plan.drop_prompt, 8);
  EXPECT_FALSE(plan.preempt.has_value());
}

TEST(Scheduler, WhoIsWatchedDoesNotGoBack) {
  Script script{.running = {Decoding(1, 1), Decoding(2, 1), Decoding(3, 1)}, .free_pages = 2};
  script.running[2].pinned = true;
  EXPECT_EQ(script.Plan().preempt, 2);
}

TEST(Scheduler, BesideWhoIsWatchedEvenTheFirstGoesBack) {
  Script script{.running = {Decoding(1, 1), Decoding(2, 1)}, .free_pages = 1};
  script.running[1].pinned = true;
  EXPECT_EQ(script.Plan().preempt, 1);
  script.running.erase(script.running.begin());
  script.free_pages = 0;
  EXPECT_EQ(script.Plan().starved, 2);
}

TEST(Scheduler, OneAnswerThatOutgrowsThePoolEnds) {
  const Script script{.running = {Decoding(1, 1)}, .free_pages = 0};
  EXPECT_EQ(script.Plan().starved, 1);
}

TEST(Scheduler, AWaitingRequestThatCanNeverFitEnds) {
  const Script script{.waiting = {Waiting(1, 101, 5)}};
  EXPECT_EQ(script.Plan().starved, 1);
}

TEST(Scheduler, KeptPromptsOfOthersMakeRoomWhenNothingRuns) {
  Script script{.waiting = {Waiting(1, 3, 5)},
                .prompts = {{.request = 1, .arrival = 1}, {.request = 2, .arrival = 2}},
                .free_pages = 1};
  EXPECT_EQ(script.Plan().drop_prompt, 2) << "its own prompt is what it begins from";
  script.prompts.pop_back();
  EXPECT_EQ(script.Plan().drop_prompt, 1) << "that freed nothing, for somebody shares its pages";
  script.prompts.pop_back();
  EXPECT_EQ(script.Plan().starved, 1);
  script.free_pages = 3;
  EXPECT_THAT(script.Plan().admit, ElementsAre(1));
}

// Invariants over random states, and that a simulated engine always comes to an end.
TEST(Scheduler, RandomWorkIsAllDoneWithinTheBudgets) {
  std::mt19937 random(3);
  const auto upto = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  for (int round = 0; round < 200; ++round) {
    struct Lane {
      int64_t prompt, answer, computed = 0, chosen = 0, pages = 0;
      bool running = false, done = false;
      int64_t sequences;
      int64_t length() const { return prompt + chosen; }
    };
    std::vector<Lane> lanes;
    const int64_t total = 8 + upto(20);
    const StepBudget budget{.rows = 4 + upto(40), .sequences = 2 + upto(6)};
    for (int64_t i = 0; i < 1 + upto(12); ++i)
      lanes.push_back({.prompt = 1 + upto(150), .answer = 1 + upto(100), .sequences = 1 + upto(2)});
    int64_t free = total;
    const auto pages_for = [](int64_t tokens) { return (tokens + 63) / 64; };
    int64_t steps = 0;
    while (std::any_of(lanes.begin(), lanes.end(), [](const Lane& l) { return !l.done; })) {
      ASSERT_LT(++steps, 20000) << "no end";
      Script script{.free_pages = free, .budget = budget};
      for (int64_t i = 0; i < std::ssize(lanes); ++i) {
        const Lane& l = lanes[static_cast<size_t>(i)];
        if (l.done) continue;
        const int64_t rows = l.length() - l.computed, second = l.sequences == 2 ? rows : 0;
        const bool decoding = l.chosen > 0 && rows == 1;
        if (l.running) {
          script.running.push_back(
              {.id = i,
               .arrival = i,
               .sequences = l.sequences,
               .rows = {rows, second},
               .decoding = decoding,
               .pages =
                   decoding ? l.sequences * (pages_for(l.length()) - l.pages / l.sequences) : 0});
        } else {
          script.waiting.push_back({.id = i,
                                    .arrival = i,
                                    .request = i,
                                    .sequences = l.sequences,
                                    .pages = l.sequences * pages_for(l.length()),
                                    .rows = {rows, second}});
        }
      }
      const StepPlan plan = script.Plan();
      ASSERT_FALSE(plan.empty());
      const auto release = [&](Lane& l) {
        free += l.pages;
        l.pages = l.computed = 0;
        l.running = false;
      };
      if (plan.preempt) release(lanes[static_cast<size_t>(*plan.preempt)]);
      if (plan.starved) {
        Lane& l = lanes[static_cast<size_t>(*plan.starved)];
        ASSERT_GT(l.sequences * pages_for(l.length()), total) << "only what can never fit ends so";
        release(l);
        l.done = true;
      }
      for (const int64_t id : plan.admit) {
        Lane& l = lanes[static_cast<size_t>(id)];
        l.running = true;
        l.pages = l.sequences * pages_for(l.length());
        free -= l.pages;
      }
      int64_t rows = 0, running = 0;
      for (const StepPlan::Rows& r : plan.rows) {
        Lane& l = lanes[static_cast<size_t>(r.lane)];
        ASSERT_TRUE(l.running);
        rows += r.rows[0] + r.rows[1];
        const int64_t grown = l.sequences * pages_for(l.length()) - l.pages;
        free -= grown;
        l.pages += grown;
        // Two sequences of one length: what both have is what counts here.
        l.computed += l.sequences == 2 ? std::min(r.rows[0], r.rows[1]) : r.rows[0];
        if (l.sequences == 2 && r.rows[1] == 0 && r.rows[0] > 0)
          l.computed = std::min(l.length(), l.computed + r.rows[0] / 2);
        if (l.computed < l.length()) continue;
        if (++l.chosen == l.answer) {
          release(l);
          l.done = true;
        }
      }
      for (const Lane& l : lanes) running += l.running ? l.sequences : 0;
      ASSERT_LE(rows, budget.rows);
      ASSERT_LE(running, budget.sequences);
      ASSERT_GE(free, 0);
    }
  }
}

}  // namespace
}  // namespace binocle
