#include <gtest/gtest.h>

#include "binocle/eval_report.h"
#include "tests/eval/report/reports.h"

namespace binocle::eval {
namespace {

const std::vector<std::string> kAnswers = {"a0", "a1", "a2", "a3",  "a4",  "a5",  "a6",
                                           "a7", "a8", "a9", "a10", "a11", "a12", "a13"};

class Compare : public ::testing::Test {
 protected:
  Compare() : finished_(RowsOf(kAnswers), R"(, "answer": "a")", R"("scorer": "exact_match")") {}
  std::string Run(const std::string& out, const std::set<size_t>& wrong,
                  const std::string& instead = "no idea") {
    return finished_.Run(out, AnswersBut(kAnswers, wrong, instead));
  }
  Finished finished_;
};

TEST_F(Compare, OfARunWithItselfIsNothing) {
  const std::string out = Run("out", {1, 2, 3});
  const EvalComparison comparison = CompareEval({out, out}, {});
  const EvalTaskComparison& task = comparison.tasks.at(0);
  EXPECT_EQ(task.pairs, 14);
  EXPECT_EQ(task.groups, 7);
  EXPECT_EQ(task.difference->value, 0);
  EXPECT_EQ(task.difference->low, 0);
  EXPECT_EQ(task.difference->high, 0);
  EXPECT_EQ(task.p, 1);
  EXPECT_TRUE(task.changes.empty());
  EXPECT_EQ(comparison.settings, std::vector<std::string>{""});
}

TEST_F(Compare, CountsWhatIsBetterAndWorse) {
  const std::string before = Run("before", {0, 1, 2, 3, 4, 5, 6, 7, 8});
  const std::string after = Run("after", {0, 13}, "none");
  const EvalTaskComparison task = CompareEval({before, after}, {}).tasks.at(0);
  EXPECT_EQ(task.better, 8);
  EXPECT_EQ(task.worse, 1);
  EXPECT_EQ(task.reworded, 1);              // s0: other words, as wrong
  EXPECT_NEAR(*task.p, 20.0 / 512, 1e-12);  // 2·(1 + 9)/2⁹
  EXPECT_NEAR(task.difference->value, 7.0 / 14, 1e-12);
  EXPECT_LT(task.difference->low, task.difference->value);
  ASSERT_EQ(task.changes.size(), 9u);
  EXPECT_EQ(task.changes[0].id, "s1");
  EXPECT_EQ(task.changes[0].before, "no idea");
  EXPECT_EQ(task.changes[0].after, "a1");
  // The other way round, all signs are.
  const EvalTaskComparison back = CompareEval({after, before}, {}).tasks.at(0);
  EXPECT_NEAR(back.difference->value, -task.difference->value, 1e-12);
  EXPECT_NEAR(back.difference->low, -task.difference->high, 1e-12);
  EXPECT_EQ(back.p, task.p);
}

TEST_F(Compare, LeavesOutWhatOneRunHasNoScoreOf) {
  const std::string before = Run("before", {});
  const auto answer = AnswersBut(kAnswers, {4});
  const std::string after = finished_.Run("after", [&](const std::string& prompt) {
    if (prompt == "q0" || prompt == "q9") throw Error(Code::kUnavailable, "nobody");
    return answer(prompt);
  });
  const EvalTaskComparison task = CompareEval({before, after}, {}).tasks.at(0);
  EXPECT_EQ(task.pairs, 12);
  EXPECT_EQ(task.left_out, 2);
  EXPECT_NEAR(task.difference->value, -1.0 / 12, 1e-12);
}

TEST_F(Compare, SaysThatItIsNotOfAllSamplesAndInWhichRunTheyAreMissing) {
  const std::string before = Run("before", {});
  const std::string after = finished_.Run("after", [&](const std::string& prompt) {
    if (prompt == "q3") throw Error(Code::kUnavailable, "nobody");
    return std::string("no idea");
  });
  const EvalComparison whole = CompareEval({before, before}, {});
  EXPECT_FALSE(whole.tasks.at(0).incomplete());
  EXPECT_EQ(ComparisonHtml(whole).find("incomplete:"), std::string::npos);
  const EvalComparison comparison = CompareEval({before, after}, {});
  const EvalTaskComparison& task = comparison.tasks.at(0);
  EXPECT_TRUE(task.incomplete());
  EXPECT_EQ(task.unscored_before, 0);
  EXPECT_EQ(task.unscored_after, 1);
  const std::string html = ComparisonHtml(comparison);
  EXPECT_NE(html.find("incomplete: 13 of 14 in both runs"), std::string::npos);
  EXPECT_NE(html.find("Without a score: 0 before, 1 after."), std::string::npos);
}

TEST(CompareJudged, HasNoScoreWhereNobodyGraded) {
  const Finished finished(RowsOf(kAnswers), R"(, "answer": "a")", R"("judge": "wise")");
  const std::string before = finished.Run("before", AnswersBut(kAnswers, {}));
  const std::string after = finished.Run("after", AnswersBut(kAnswers, {1, 2}));
  const EvalComparison comparison = CompareEval({before, after}, {});
  const EvalTaskComparison& task = comparison.tasks.at(0);
  EXPECT_EQ(task.pairs, 0);
  EXPECT_EQ(task.left_out, 14);
  EXPECT_FALSE(task.score_before);
  EXPECT_FALSE(task.score_after);
  EXPECT_FALSE(task.difference);
  EXPECT_FALSE(task.p);
  const std::string html = ComparisonHtml(comparison);
  EXPECT_NE(html.find("No sample has a score in both runs."), std::string::npos);
  EXPECT_EQ(html.find("0.0000"), std::string::npos);
}

// One of two runs is graded: nothing is scored in both.
TEST(CompareJudged, HasNoScoreWhereOneRunIsNotGraded) {
  const Finished finished(RowsOf({"a", "b"}), R"(, "answer": "a")", R"("judge": "wise")");
  const std::string before = finished.Run("before", AnswersBut({"a", "b"}, {}));
  const std::string after = finished.Run("after", AnswersBut({"a", "b"}, {1}));
  finished.folder().Write("v.jsonl", R"({"id": "s0", "score": 1})"
                                     "\n"
                                     R"({"id": "s1", "score": 0.5})");
  JudgeEval(before, "mine", (finished.folder().path() / "v.jsonl").string());
  const EvalTaskComparison task = CompareEval({before, after}, {}).tasks.at(0);
  EXPECT_EQ(task.unscored_before, 0);
  EXPECT_EQ(task.unscored_after, 2);
  EXPECT_FALSE(task.score_before);
  EXPECT_FALSE(task.p);
}

TEST_F(Compare, TakesSeveralRunsBesideTheFirst) {
  const std::string a = Run("a", {1});
  const std::string b = Run("b", {2});
  const std::string c = Run("c", {});
  const EvalComparison comparison = CompareEval({a, b, c}, {});
  ASSERT_EQ(comparison.tasks.size(), 2u);
  EXPECT_EQ(comparison.tasks[1].before, a);
  EXPECT_EQ(comparison.tasks[1].after, c);
  EXPECT_EQ(comparison.tasks[1].better, 1);
}

TEST_F(Compare, WantsTwoRuns) {
  const std::string a = Run("a", {});
  EXPECT_EQ(Thrown([&] { CompareEval({a}, {}); }).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace binocle::eval
