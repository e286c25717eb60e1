// What a load test draws and counts.
#include <gtest/gtest.h>

#include <set>

#include "cli/load_plan.h"
#include "cli/load_tally.h"

namespace binocle::cli {
namespace {

LoadOutcome Answered(const std::string& text) {
  LoadOutcome outcome;
  outcome.answer.text = text;
  outcome.answer.token_ids.assign(text.begin(), text.end());
  outcome.delta_times = {10, 12, 16};
  outcome.total = 20;
  return outcome;
}

LoadOutcome Cancelled(const std::string& text) {
  LoadOutcome outcome = Answered(text);
  outcome.code = "CANCELLED";
  outcome.cancelled = true;
  return outcome;
}

LoadOutcome Failed(const std::string& code) {
  LoadOutcome outcome;
  outcome.code = code;
  outcome.message = "why";
  return outcome;
}

TEST(TimeHistogram, QuantilesAreWithinOnePercent) {
  TimeHistogram times;
  EXPECT_EQ(times.Quantile(0.5), 0);
  for (int i = 1; i <= 1000; ++i) times.Add(i * 0.5);
  EXPECT_NEAR(times.Quantile(0.5), 250, 2.6);
  EXPECT_NEAR(times.Quantile(0.99), 495, 5);
  EXPECT_EQ(times.Quantile(1), 500);
  EXPECT_EQ(times.max(), 500);
  times.Add(1e12);
  times.Add(-1);
  EXPECT_EQ(times.count(), 1002);
  EXPECT_EQ(times.max(), 1e12);
}

TEST(LoadTally, KnowsWhichCodesAreRight) {
  const LoadOptions options{.distinct = 2};
  LoadTally tally(options, LoadCheck::kNo);
  tally.Add({.kind = LoadKind::kWhole}, Answered("a"));
  tally.Add({.kind = LoadKind::kCancelled}, Answered("b"));
  tally.Add({.kind = LoadKind::kCancelled}, Cancelled(""));
  tally.Add({.kind = LoadKind::kMalformed}, Failed("INVALID_ARGUMENT"));
  EXPECT_EQ(tally.unexpected(), 0);
  tally.Add({.kind = LoadKind::kMalformed, .index = 3}, Answered("a"));
  tally.Add({.kind = LoadKind::kWhole}, Cancelled("a"));
  tally.Add({.kind = LoadKind::kWhole}, Failed("INTERNAL"));
  tally.Add({.kind = LoadKind::kCancelled}, Failed("UNAVAILABLE"));
  EXPECT_EQ(tally.unexpected(), 4);
  EXPECT_EQ(tally.trouble(), "malformed request 3 ended with OK");
  tally.Finish(2);
  const Json json = tally.ToJson();
  EXPECT_EQ(json["codes"]["OK"], 3);
  EXPECT_EQ(json["requests_per_second"], 4);
  EXPECT_EQ(json["first_token_ms"]["count"], 5);
}

TEST(LoadTally, FindsWrongAnswers) {
  const LoadOptions options{.distinct = 2};
  LoadTally tally(options, LoadCheck::kYes);
  tally.Add({.index = 0}, Answered("a key"));
  tally.Add({.index = 1}, Answered("a dog"));
  tally.Add({.index = 0}, Answered("a key"));
  tally.Add({.kind = LoadKind::kCancelled, .index = 0}, Cancelled("a k"));
  EXPECT_EQ(tally.wrong(), 0);
  tally.Add({.index = 0}, Answered("a dog"));
  tally.Add({.kind = LoadKind::kCancelled, .index = 1}, Cancelled("a k"));
  EXPECT_EQ(tally.wrong(), 2);
  EXPECT_EQ(tally.trouble(), "request 0 was answered 'a dog', at first 'a key'");
}

TEST(LoadPlan, IsTheSameForTheSameSeed) {
  const LoadOptions options{.distinct = 10, .cancel_share = 0.3, .malformed_share = 0.2, .seed = 5};
  const LoadPlan plan(options), again(options);
  std::set<size_t> asked;
  int cancelled = 0, malformed = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const LoadItem item = plan.Item(i);
    EXPECT_EQ(item.index, again.Item(i).index);
    EXPECT_EQ(item.after, again.Item(i).after);
    malformed += item.kind == LoadKind::kMalformed;
    cancelled += item.kind == LoadKind::kCancelled;
    if (item.kind == LoadKind::kWhole) asked.insert(item.index);
  }
  EXPECT_EQ(asked.size(), 10u);
  EXPECT_NEAR(malformed, 400, 80);
  EXPECT_NEAR(cancelled, 480, 90);
  EXPECT_EQ(plan.Make(3).messages[0].text, again.Make(3).messages[0].text);
  EXPECT_EQ(plan.Make(3).generation.seed, again.Make(3).generation.seed);
  EXPECT_NE(plan.Make(3).generation.seed, plan.Make(4).generation.seed);
}

}  // namespace
}  // namespace binocle::cli
