#include "eval/report/run_files.h"

#include <gtest/gtest.h>

#include "binocle/eval_report.h"
#include "eval/report/same_questions.h"
#include "tests/eval/report/reports.h"

namespace binocle::eval {
namespace {

const std::vector<std::string> kSixAnswers = {"a0", "a1", "yes", "No.", "a4", "a5"};
constexpr const char* kColumns = R"(, "answer": "a")";
constexpr const char* kScorer = R"("scorer": "exact_match")";

class RunFilesTest : public ::testing::Test {
 protected:
  RunFilesTest() : finished_(RowsOf(kSixAnswers), kColumns, kScorer) {}
  std::string Run(const std::string& out = "out", const std::set<size_t>& wrong = {1, 4},
                  const std::function<void(EvalRun&)>& change = {}) {
    return finished_.Run(out, AnswersBut(kSixAnswers, wrong), change);
  }
  static std::filesystem::path Samples(const std::string& out) {
    return std::filesystem::path(out) / "m_samples_mine.jsonl";
  }
  static std::filesystem::path Results(const std::string& out) {
    return std::filesystem::path(out) / "m_results.json";
  }

  Finished finished_;
};

TEST_F(RunFilesTest, AreReadBackAsTheyWereWritten) {
  const RunFiles files = ReadRunFiles(Run());
  EXPECT_EQ(files.model, "m");
  ASSERT_EQ(files.tasks.size(), 1u);
  const RunTask& task = files.tasks[0];
  EXPECT_EQ(task.scorer(), "exact_match");
  ASSERT_EQ(task.samples.size(), 6u);
  EXPECT_EQ(task.samples[1].id, "s1");
  EXPECT_EQ(task.samples[1].prediction, "no idea");
  EXPECT_EQ(task.samples[1].score, 0);
  EXPECT_EQ(task.samples[2].score, 1);
  EXPECT_EQ(task.samples[2].wanted_yes_no, YesNo::kYes);
  EXPECT_EQ(task.samples[3].wanted_yes_no, YesNo::kNo);
  EXPECT_FALSE(task.samples[0].wanted_yes_no);
  EXPECT_EQ(task.samples[0].group, task.samples[1].group);
  EXPECT_NE(task.samples[1].group, task.samples[2].group);
  EXPECT_EQ(task.samples[0].completion_tokens, 3);
  EXPECT_GT(files.seconds_per_answer.value_or(0), 0);
}

TEST_F(RunFilesTest, FailedSamplesHaveNoScore) {
  const auto answer = AnswersBut(kSixAnswers, {});
  const std::string out = finished_.Run("out", [&](const std::string& prompt) {
    if (prompt == "q3") throw Error(Code::kUnavailable, "nobody");
    return answer(prompt);
  });
  const RunSample sample = ReadRunFiles(out).tasks[0].samples[3];
  EXPECT_FALSE(sample.prediction);
  EXPECT_FALSE(sample.score);
  EXPECT_EQ(sample.error, "UNAVAILABLE: nobody");
}

TEST_F(RunFilesTest, FoldersThatHoldNoneAreTold) {
  const auto message = [&](const std::string& folder) {
    const Error error = Thrown([&] { ReadRunFiles(folder); });
    EXPECT_EQ(error.code(), Code::kNotFound);
    return error.message();
  };
  EXPECT_NE(message("none").find("none: is no folder"), std::string::npos);
  EXPECT_NE(message((finished_.folder().path() / "data").string())
                .find("holds no *_results.json, expected"),
            std::string::npos);
  const std::string out = Run();
  std::filesystem::remove(Results(out));
  EXPECT_NE(message(out).find("the run is not finished"), std::string::npos);
}

TEST_F(RunFilesTest, TwoRunsInAFolderAreRefused) {
  const std::string out = Run();
  Run("out", {}, [](EvalRun& run) {
    run.model.name = "n";
    run.fresh = true;
  });
  const Error error = Thrown([&] { ReadRunFiles(out); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_NE(error.message().find("holds 2 results, m_results.json and n_results.json"),
            std::string::npos);
}

// Every kind of damage names the file and what is wrong.
TEST_F(RunFilesTest, DamageIsTold) {
  struct Case {
    std::filesystem::path (*file)(const std::string&);
    std::string from, to, message;
  };
  const Case cases[] = {
      {Samples, "\"prediction\":\"a0\"", "\"prediction\":7", "line 1: is no sample of a run"},
      {Samples, "{\"doc_id\":2", "{\"doc_id\":5", "line 3: doc_id is 5, expected 2"},
      {Samples, "\"score\":1.0", "\"score\":0.5", "the mean score is"},
      {Samples, "\"doc_hash\":\"", "\"doc_hash\":\"0", "holds other samples than the run had"},
      {Samples, "{\"doc_id\":0", "[\"doc_id\":0", "line 1"},
      {Results, "\"answered\": 6", "\"answered\": 5", "has 6 answers, expected 5"},
      {Results, "\"task_hashes\"", "\"task_hash\"", "is no whole results file"},
      {Results, "{", "[", "m_results.json"},
      {Results, "\"settings\": {}", "\"settings\": 5", "no member binocle.settings"},
      {Results, "\"generation\"", "\"generated\"", "the results are damaged"},
      {Results, "\"description\": \"d\",\n        \"generation",
       "\"description\": 5,\n        \"generation", "the results are damaged"},
  };
  int number = 0;
  for (const Case& one : cases) {
    const std::string out = Run("damage" + std::to_string(number++));
    ReplaceIn(one.file(out), one.from, one.to);
    const Error error = Thrown([&] { ReportEval({out}, {}); });
    EXPECT_EQ(error.code(), Code::kDataLoss) << error.message();
    EXPECT_NE(error.message().find(one.message), std::string::npos) << error.message();
  }
}

TEST_F(RunFilesTest, SamplesThatAreMissingAreTold) {
  const std::string out = Run();
  std::string text = ReadAllOf(Samples(out));
  text.resize(text.rfind("{\"doc_id\":5"));
  std::ofstream(Samples(out), std::ios::binary) << text;
  const Error error = Thrown([&] { ReadRunFiles(out); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_NE(error.message().find("has 5 samples, expected 6"), std::string::npos);
  std::filesystem::remove(Samples(out));
  EXPECT_EQ(Thrown([&] { ReadRunFiles(out); }).code(), Code::kDataLoss);
}

TEST_F(RunFilesTest, RunsOverSomethingElseAreRefusedWithWhat) {
  const std::string first = Run();
  const auto message = [&](const std::string& other) {
    const Error error = Thrown([&] { ReadComparableRuns({first, other}, 2); });
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    return error.message();
  };
  const std::string limited = Run("limited", {}, [](EvalRun& run) { run.limit = 3; });
  EXPECT_NE(message(limited).find("mine.samples is 3, not 6"), std::string::npos);
  finished_.WriteTask("2", kColumns, kScorer);
  EXPECT_NE(message(Run("version")).find(R"(mine.version is "2", not "1")"), std::string::npos);
  finished_.WriteTask("1", kColumns, kScorer);
  finished_.folder().Write("data/a.jsonl", RowsOf({"a0", "a1", "yes", "No.", "a4", "b5"}));
  EXPECT_NE(message(Run("data")).find("mine.data[0].sha256 is"), std::string::npos);
  finished_.folder().Write("data/a.jsonl", RowsOf(kSixAnswers));
  finished_.folder().Write("data/1.png", "another");
  EXPECT_NE(message(Run("pictures")).find("mine.pictures.bytes is"), std::string::npos);
}

TEST_F(RunFilesTest, RunsThatAskOtherwiseAreTakenAndTheDifferenceTold) {
  const std::string first = Run();
  const std::string second = Run("second", {}, [](EvalRun& run) {
    run.prompt = "loud";
    run.settings = R"({"interventions": {"var": {"p": 0.6}}})";
  });
  const auto runs = ReadComparableRuns({first, second}, 2);
  EXPECT_EQ(SettingsDifference(runs[0], runs[0]), "");
  const std::string difference = SettingsDifference(runs[0], runs[1]);
  EXPECT_NE(difference.find("interventions.var.p is 0.6"), std::string::npos) << difference;
  EXPECT_NE(difference.find("tasks.mine.prompt.name is \"loud\", not \"default\""),
            std::string::npos)
      << difference;
}

}  // namespace
}  // namespace binocle::eval
