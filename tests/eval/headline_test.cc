// The number by which a task is known is that of its scorer's summary, whatever the lines.
#include "eval/headline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "binocle/eval.h"
#include "core/json.h"

namespace binocle::eval {
namespace {

struct Lines {
  std::vector<Json> json;
  std::vector<HeadlineLine> headline;
};

// Lines with their scores, some of whose groups lack one.
Lines RandomLines(const std::string& scorer, std::mt19937& random) {
  const bool mme = scorer.starts_with("mme");
  const Json options = {"x", "y", "z"};
  Lines lines;
  for (int group = 0; group < 40; ++group) {
    const std::string category = mme && group % 3 == 0 ? "count" : "color";
    const int whole = mme ? 2 : 3;
    for (int i = 0; i < (random() % 8 == 0 ? 1 : whole); ++i) {
      const bool right = random() % 4 != 0;
      Json line = {{"prediction", mme ? (right ? "yes" : "no") : (right ? "A" : "B")},
                   {"answer", mme ? "yes" : "A"},
                   {"category", category},
                   {"group", group}};
      if (!mme) line["options"] = options;
      lines.json.push_back(line);
      lines.headline.push_back({.score = right ? 1.0 : 0.0,
                                .category = category,
                                .group = std::to_string(group),
                                .options = mme ? 0 : 3});
    }
  }
  return lines;
}

TEST(Headline, IsTheScorersOwnNumber) {
  std::mt19937 random(3);
  for (const std::string scorer : {"mme", "mme_lmms", "mmbench_letter", "mmbench_vlmeval"}) {
    const Lines lines = RandomLines(scorer, random);
    Scoring scoring(scorer);
    for (const Json& line : lines.json) scoring.Score(line.dump());
    const Json summary = Json::parse(scoring.Summary(IncompleteGroups::kLeftOut))["summary"];
    const HeadlineUnits units = UnitsOf(scorer, lines.headline);
    EXPECT_NEAR(*units.value(), summary[HeadlineOf(scorer).metric].get<double>(), 1e-9) << scorer;
    EXPECT_EQ(units.incomplete_groups, summary["incomplete_groups"]) << scorer;
    EXPECT_GT(units.incomplete_groups, 0) << scorer;
    EXPECT_EQ(units.most, scorer.starts_with("mme") ? 400 : 1) << scorer;
  }
}

TEST(Headline, LeavesOutGroupsOfWhichASampleFailed) {
  const HeadlineLine right{.score = 1, .group = "a", .options = 2};
  const HeadlineLine failed{.score = {}, .group = "b", .options = 2};
  HeadlineLine half = right;
  half.group = "c";
  HeadlineLine other_half = failed;
  other_half.group = "c";
  const std::vector<HeadlineLine> lines = {right, right, failed, failed, half, other_half};
  for (const char* scorer : {"mmbench_letter", "mme"}) {
    const HeadlineUnits units = UnitsOf(scorer, lines);
    EXPECT_EQ(units.units.size(), 1u) << scorer;
    EXPECT_EQ(units.incomplete_groups, 2) << scorer;
  }
  EXPECT_EQ(UnitsOf("exact_match", lines).value(), 1);
  EXPECT_EQ(UnitsOf("exact_match", lines).units.size(), 3u);
}

TEST(Headline, OfCaptionsCountsWhatIsWrong) {
  EXPECT_EQ(HeadlineOf("chair").metric, "chair_s");
  EXPECT_FALSE(HeadlineOf("chair").higher_is_better);
  EXPECT_EQ(UnitsOf("chair", {{.score = 1}, {.score = 1}, {.score = 0}, {.score = 1}}).value(),
            0.25);
}

TEST(Headline, OfOtherScorersIsTheMean) {
  for (const char* scorer : {"exact_match", "pope_llava", "a judge"}) {
    EXPECT_EQ(HeadlineOf(scorer).metric, "score");
    const HeadlineUnits units = UnitsOf(scorer, {{.score = 1}, {.score = 0.5, .group = "g"}});
    EXPECT_EQ(units.value(), 0.75);
    EXPECT_NEAR(*units.standard_error(), 0.25, 1e-12);
  }
  EXPECT_EQ(UnitsOf("exact_match", {}).value(), std::nullopt);
}

// Two pictures a category: 200 and 50 of "count", 100 and 100 of "color".
TEST(Headline, OfMmeIsASumOverItsCategories) {
  const auto line = [](const char* category, const char* group, double score) {
    return HeadlineLine{.score = score, .category = category, .group = group};
  };
  const HeadlineUnits units =
      UnitsOf("mme", {line("count", "1", 1), line("color", "1", 1), line("count", "1", 1),
                      line("count", "2", 1), line("count", "2", 0), line("color", "1", 1),
                      line("color", "2", 1), line("color", "2", 1)});
  EXPECT_EQ(units.value(), (200 + 50) / 2.0 + 200);
  EXPECT_EQ(units.units.size(), 4u);
  EXPECT_NEAR(*units.standard_error(), std::sqrt(150.0 * 150 / 2 / 2), 1e-9);
}

}  // namespace
}  // namespace binocle::eval
