// Shards put together, and judges: the same files as of one run, and clear words where that cannot be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "tests/eval/run/runs.h"

namespace binocle::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

void RunShard(const SmallRun& small, const std::string& out, EvalShard shard,
              std::multiset<std::string>* asked = nullptr) {
  EvalRun run = small.Make(out);
  run.shard = shard;
  Answering model;
  const EvalResult result = RunEval(run, model.Ask());
  EXPECT_TRUE(result.complete);
  EXPECT_TRUE(result.results_file.empty());
  std::set<std::string> pictures;
  for (const Request& request : model.asked) {
    if (asked != nullptr) asked->insert(request.id);
  }
}

TEST(MergeEval, GivesTheFilesOfARunWithoutShards) {
  const SmallRun small(7, 3);
  Answering model;
  RunEval(small.Make("whole"), model.Ask());
  for (int64_t count = 2; count <= 9; ++count) {
    const std::string out = "shards" + std::to_string(count);
    std::multiset<std::string> asked;
    for (int64_t i = 0; i < count; ++i) RunShard(small, out, {i, count}, &asked);
    EXPECT_EQ(asked.size(), 21u);
    EXPECT_EQ(std::set<std::string>(asked.begin(), asked.end()).size(), 21u);
    const EvalResult result = MergeEval({small.out(out).string()}, small.out(out).string());
    EXPECT_EQ(result.tasks.at(0).score, 1.0);
    EXPECT_EQ(FinalFilesIn(small.out(out)), FinalFilesIn(small.out("whole"))) << count;
  }
}

TEST(MergeEval, KeepsTheQuestionsAboutAPictureInOneShard) {
  const SmallRun small(7, 3);
  std::map<std::string, std::set<int64_t>> shards_of;
  for (int64_t i = 0; i < 4; ++i) {
    EvalRun run = small.Make("shards");
    run.shard = {i, 4};
    Answering model;
    RunEval(run, model.Ask());
    for (const Request& request : model.asked)
      shards_of[request.messages[0].images[0].path].insert(i);
  }
  EXPECT_EQ(shards_of.size(), 7u);
  for (const auto& [picture, shards] : shards_of) EXPECT_EQ(shards.size(), 1u) << picture;
}

TEST(MergeEval, GoesOnLikeARunWithoutShards) {
  const SmallRun small(2, 2);
  for (int64_t i = 0; i < 2; ++i) RunShard(small, "shards", {i, 2});
  MergeEval({small.out("shards").string()}, small.out("merged").string());
  Answering model;
  RunEval(small.Make("merged"), model.Ask());
  EXPECT_TRUE(model.asked.empty());
}

TEST(MergeEval, RefusesWhatIsNotAllOfOneRun) {
  const SmallRun small(4, 2);
  for (int64_t i = 0; i < 3; ++i) RunShard(small, "s", {i, 3});
  const auto path = [&](const std::string& name) { return (small.out("s") / name).string(); };
  const auto refused = [&](const std::vector<std::string>& from, const std::string& what) {
    const Error error = Thrown([&] { MergeEval(from, small.out("m").string()); });
    EXPECT_THAT(error.message(), HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(small.out("m") / "org__model_results.json"));
  };
  refused({path("journal_0_of_3.jsonl"), path("journal_2_of_3.jsonl")}, "shards are missing: 1/3");
  std::filesystem::copy(path("journal_1_of_3.jsonl"), small.out("s") / "copy.jsonl");
  refused({small.out("s").string(), path("copy.jsonl")}, "is shard 1/3, which ");
  RunShard(small, "t", {0, 2});
  std::filesystem::copy(small.out("t") / "journal_0_of_2.jsonl", small.out("s"));
  refused({small.out("s").string()}, "is shard 0/3, expected one of 2");
  std::filesystem::remove(path("journal_0_of_2.jsonl"));
  EvalRun other = small.Make("other");
  other.shard = {2, 3};
  other.prompt = "loud";
  Answering model;
  RunEval(other, model.Ask());
  refused({path("journal_0_of_3.jsonl"), path("journal_1_of_3.jsonl"),
           (small.out("other") / "journal_2_of_3.jsonl").string()},
          R"(is of another run than )");
  EvalRun open = small.Make("open");
  open.shard = {2, 3};
  RunEval(open, model.Ask(), {.keep_going = [] { return false; }});
  refused({path("journal_0_of_3.jsonl"), path("journal_1_of_3.jsonl"),
           (small.out("open") / "journal_2_of_3.jsonl").string()},
          "shard 2/3 is not finished, 2 of 2 samples are missing");
  refused({small.folder().path().string()}, "holds no journal of a shard");
}

TEST(MergeEval, KnowsATasksObjectsWithoutItsFiles) {
  const SmallRun small(3, 1);
  small.folder().Write("mine.json", R"({"schema": 1, "name": "mine", "version": "1",
    "description": "d", "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "w"},
    "columns": {"id": "id", "question": "q", "references": "a"},
    "images": {"form": "path", "column": "image"}, "objects": "o/mine.json",
    "prompts": {"default": {"text": "{question}", "source": "s"}}, "scorer": "chair",
    "generation": {"max_new_tokens": 8}})");
  small.folder().Write("o/mine.json", R"({"objects": {"a0": [], "a1": ["a2"]}})");
  for (int64_t i = 0; i < 2; ++i) RunShard(small, "s", {i, 2});
  std::filesystem::remove_all(small.folder().path() / "o");
  const EvalResult result = MergeEval({small.out("s").string()}, small.out("m").string());
  const Json results = Json::parse(ReadAllOf(result.results_file));
  EXPECT_EQ(results["binocle"]["tasks"]["mine"]["scorers"]["chair"]["mentions"], 3);
  EXPECT_EQ(results["results"]["mine"]["chair_recall,none"], 1.0);
}

constexpr const char* kJudged = R"("judge": "wise")";

TEST(JudgeEval, IsAskedForWhatNoScorerKnowsAndNothingIsMadeUp) {
  const SmallRun small(2, 1, kJudged);
  Answering model;
  EvalResult result = RunEval(small.Make(), model.Ask());
  EXPECT_EQ(result.tasks.at(0).score, std::nullopt);
  const auto lines = LinesOf(result.tasks[0].judge_file);
  ASSERT_EQ(lines.size(), 2u);
  const Json line = Json::parse(lines[1]);
  EXPECT_EQ(line["id"], "s1");
  EXPECT_EQ(line["question"], "q1");
  EXPECT_EQ(line["answer"], "a1");
  EXPECT_EQ(line["prediction"], "a1");
  Json results = Json::parse(ReadAllOf(result.results_file));
  EXPECT_TRUE(results["results"]["mine"]["score,none"].is_null());
  EXPECT_EQ(results["binocle"]["tasks"]["mine"]["judged"],
            Json({{"name", "wise"}, {"graded", 0}, {"waiting", 2}}));

  small.folder().Write("verdicts.jsonl", R"({"id": "s1", "score": 0.5, "why": "half"})"
                                         "\n"
                                         R"({"id": "s0", "score": 1})"
                                         "\n");
  result =
      JudgeEval(small.out().string(), "mine", (small.folder().path() / "verdicts.jsonl").string());
  EXPECT_EQ(result.tasks[0].score, 0.75);
  results = Json::parse(ReadAllOf(result.results_file));
  EXPECT_EQ(results["results"]["mine"]["score,none"], 0.75);
  EXPECT_EQ(Json::parse(LinesOf(result.tasks[0].samples_file)[1])["wise"], 0.5);
  // The run once more keeps them.
  EXPECT_EQ(RunEval(small.Make(), model.Ask()).tasks[0].score, 0.75);
}

// MMBench's protocol: a judge says which option an answer means that has no letter and no option's text.
TEST(JudgeEval, ReadsChoicesThatTheScorerCannot) {
  const SmallRun small(3, 1);
  small.folder().Write("data/a.jsonl", R"({"id": "s0", "q": "q0", "a": "A", "image": "0.png"}
{"id": "s1", "q": "q1", "a": "B", "image": "1.png"}
{"id": "s2", "q": "q2", "a": "B", "image": "2.png"}
)");
  small.folder().Write("mine.json", R"({"schema": 1, "name": "mine", "version": "1",
    "description": "d", "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "w"},
    "columns": {"id": "id", "question": "q", "answer": "a", "answer_form": "letter",
                "options": ["q", "image"]},
    "images": {"form": "path", "column": "image"}, "choice_judge": "wise",
    "prompts": {"default": {"text": "{question}", "source": "s"}}, "scorer": "mmbench_letter",
    "generation": {"max_new_tokens": 8}})");
  const auto ask = [](const Request& request) {
    Response response;
    const std::string& question = request.messages.at(0).text;
    response.answers.emplace_back().text = question == "q0" ? "A" : "the second, I think";
    return response;
  };
  EvalResult result = RunEval(small.Make(), ask);
  EXPECT_NEAR(result.tasks.at(0).score.value_or(0), 1.0 / 3, 1e-12) << "the rule without a judge";
  const auto lines = LinesOf(result.tasks[0].judge_file);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(Json::parse(lines[0])["id"], "s1");
  EXPECT_EQ(Json::parse(lines[0])["options"], Json({"q1", "1.png"}));
  const auto judged = [&](const std::string& verdicts) {
    small.folder().Write("v.jsonl", verdicts);
    return JudgeEval(small.out().string(), "mine", (small.folder().path() / "v.jsonl").string());
  };
  const auto refused = [&](const std::string& verdicts, const std::string& what) {
    EXPECT_THAT(Thrown([&] { judged(verdicts); }).message(), HasSubstr(what));
  };
  const std::string s1 = R"({"id": "s1", "choice": "B"})";
  refused(s1, "has no verdict on s2");
  refused(R"({"id": "s1", "choice": "b"})",
          "v.jsonl:1: choice is \"b\", expected a capital letter");
  refused(R"({"id": "s1", "score": 1})", "v.jsonl:1: choice is missing");
  refused(R"({"id": "s1", "choice": "B", "score": 1})", "v.jsonl:1: has a choice and a score");
  refused(R"({"id": "s1", "choice": "B", "choice": "A"})", "v.jsonl:1: choice is given twice");
  refused(R"({"id": "s1", "cho)", "v.jsonl:1: not valid JSON");
  refused(s1 + "\n" + R"({"id": "s2", "choice": "C"})",
          "the choice for s2 is C, expected one of 2 options");
  refused(s1 + "\n" + R"({"id": "s2", "choice": "B"})" + "\n" + R"({"id": "s0", "choice": "A"})",
          "has 3 verdicts, expected 2, one for every answer that could not be read");
  result = judged(s1 + "\n" + R"({"id": "s2", "choice": null})");
  EXPECT_NEAR(result.tasks[0].score.value_or(0), 2.0 / 3, 1e-12);
  const Json task = Json::parse(ReadAllOf(result.results_file))["binocle"]["tasks"]["mine"];
  EXPECT_EQ(task["judged"], Json({{"name", "wise"}, {"graded", 2}, {"waiting", 0}}));
  EXPECT_EQ(task["scorers"]["mmbench_letter"]["no_answer"], 1);
  EXPECT_EQ(Json::parse(LinesOf(result.tasks[0].samples_file)[1])["choice"], "B");
}

TEST(JudgeEval, RefusesVerdictsThatAreNotOneForEveryAnswer) {
  const SmallRun small(2, 1, kJudged);
  Answering model;
  RunEval(small.Make(), model.Ask());
  const auto refused = [&](const std::string& verdicts, const std::string& what) {
    small.folder().Write("v.jsonl", verdicts);
    const Error error = Thrown([&] {
      JudgeEval(small.out().string(), "mine", (small.folder().path() / "v.jsonl").string());
    });
    EXPECT_THAT(error.message(), AllOf(HasSubstr("v.jsonl"), HasSubstr(what)));
    EXPECT_FALSE(std::filesystem::exists(small.out() / "org__model_verdicts_mine.jsonl"));
  };
  const std::string s0 = R"({"id": "s0", "score": 1})", s1 = R"({"id": "s1", "score": 0})";
  refused(s0, "has no verdict on s1");
  refused(s0 + "\n" + s1 + "\n" + R"({"id": "s2", "score": 0})", "has 3 verdicts, expected 2");
  refused(s0 + "\n" + s0, "v.jsonl:2: id is s0, which an earlier line has");
  refused(R"({"id": "s0", "score": 1.5})", "v.jsonl:1: score is 1.5, expected a number, 0 to 1");
  refused(R"({"id": "s0", "score": "good"})", "v.jsonl:1: score is \"good\"");
  refused(R"({"score": 1})", "v.jsonl:1: id is missing");
  refused(s0 + "\n" + R"({"id": "s1", "score": 1, "prediction_sha256": "00"})",
          "has a verdict on another answer to s1");
}

}  // namespace
}  // namespace binocle::eval
