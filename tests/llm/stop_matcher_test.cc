#include "llm/stop_matcher.h"

#include <gtest/gtest.h>

#include "binocle/error.h"

namespace binocle {
namespace {

struct Result {
  std::string text;
  std::optional<size_t> match;
  bool operator==(const Result&) const = default;
};

// Feeds `text` in pieces of `step` bytes and stops when the matcher does.
Result Feed(const std::vector<std::string>& stops, std::string_view text, size_t step) {
  StopMatcher matcher(stops);
  Result result;
  for (size_t i = 0; i < text.size() && !matcher.stopped(); i += step)
    result.text += matcher.Push(text.substr(i, step));
  result.text += matcher.Finish();
  result.match = matcher.match();
  return result;
}

// By definition: the match that ends first, of those the longest.
Result BruteForce(const std::vector<std::string>& stops, std::string_view text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> longest;
    for (size_t i = 0; i < stops.size(); ++i) {
      if (text.substr(0, end).ends_with(stops[i]) &&
          (!longest || stops[i].size() > stops[*longest].size()))
        longest = i;
    }
    if (longest) return {std::string(text.substr(0, end - stops[*longest].size())), longest};
  }
  return {std::string(text), std::nullopt};
}

TEST(StopMatcher, CutsBeforeTheStopString) {
  EXPECT_EQ(Feed({"</s>"}, "a cat</s> and more", 1), (Result{"a cat", 0}));
  EXPECT_EQ(Feed({"x", "\n"}, "one\ntwo", 3), (Result{"one", 1}));
}

TEST(StopMatcher, HoldsBackOnlyWhatCouldBecomeAStop) {
  StopMatcher matcher({"</s>"});
  EXPECT_EQ(matcher.Push("a <"), "a ");
  EXPECT_EQ(matcher.Push("/"), "");
  EXPECT_EQ(matcher.Push("b> <"), "</b> ");
  EXPECT_EQ(matcher.Push("/s"), "");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(matcher.Push(">tail"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.Push("more"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, GivesBackWhatWasHeldAtTheEnd) {
  StopMatcher matcher({"</s>"});
  EXPECT_EQ(matcher.Push("a</s"), "a");
  EXPECT_EQ(matcher.Finish(), "</s");
}

TEST(StopMatcher, WithoutStopsEverythingPasses) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.Push("abc"), "abc");
  EXPECT_EQ(matcher.Finish(), "");
}

TEST(StopMatcher, TheStopThatCompletesFirstWins) {
  EXPECT_EQ(Feed({"abcd", "bc"}, "xabcd", 5), (Result{"xa", 1}));
  EXPECT_EQ(Feed({"bc", "abc"}, "xabc", 4), (Result{"x", 1}));
}

TEST(StopMatcher, NeverSplitsACharacter) {
  StopMatcher matcher({"日本"});
  EXPECT_EQ(matcher.Push("a日"), "a");
  EXPECT_EQ(matcher.Push("曜"), "日曜");
}

TEST(StopMatcher, TheResultDoesNotDependOnHowTheTextIsSplit) {
  uint64_t state = 1;
  const auto next = [&](uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
  };
  const auto word = [&](uint64_t longest) {
    std::string text;
    for (uint64_t n = 1 + next(longest); n > 0; --n) text += static_cast<char>('a' + next(3));
    return text;
  };
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> stops;
    for (uint64_t n = next(4); n > 0; --n) stops.push_back(word(5));
    const std::string text = word(24);
    const Result expected = BruteForce(stops, text);
    for (size_t step = 1; step <= 7; ++step) {
      const Result got = Feed(stops, text, step);
      ASSERT_EQ(got.text, expected.text) << text << " in pieces of " << step;
      ASSERT_EQ(got.match.has_value(), expected.match.has_value()) << text;
      if (got.match) {
        ASSERT_EQ(stops[*got.match], stops[*expected.match]) << text;
      }
    }
  }
}

TEST(StopMatcher, RefusesStopsThatMakeNoSense) {
  EXPECT_THROW(StopMatcher({""}), Error);
  EXPECT_THROW(StopMatcher({"\xC3"}), Error);
  EXPECT_THROW(StopMatcher({std::string(1025, 'a')}), Error);
  EXPECT_THROW(StopMatcher(std::vector<std::string>(StopMatcher::kMaxStops + 1, "a")), Error);
}

}  // namespace
}  // namespace binocle
