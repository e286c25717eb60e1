// Whole runs over a model that is a function: order, journal, resuming, failures, files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "binocle/eval.h"
#include "core/json.h"
#include "eval/run/journal.h"
#include "eval/run/sha256.h"
#include "tests/eval/run/runs.h"

namespace binocle::eval {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Ends a run as a signal would: nothing after it is done.
struct Stopped {};

TEST(RunEval, AsksTheQuestionsAboutAPictureOneAfterTheOther) {
  const SmallRun small(3, 2);
  Answering model;
  RunEval(small.Make(), model.Ask());
  EXPECT_THAT(Prompts(model), ElementsAre("q0", "q3", "q1", "q4", "q2", "q5"));
  EXPECT_TRUE(model.asked[0].messages[0].images[0].path.ends_with("data/0.png"));
  EXPECT_EQ(model.asked[0].generation.max_new_tokens, 8);
}

TEST(RunEval, WritesSamplesInTheOrderOfTheDataWhateverTheOrderOfAnswers) {
  const SmallRun small(3, 2);
  Answering model;
  const EvalResult result = RunEval(small.Make(), model.Ask());
  EXPECT_EQ(result.results_file, small.out() / "org__model_results.json");
  const auto lines = LinesOf(result.tasks.at(0).samples_file);
  ASSERT_EQ(lines.size(), 6u);
  for (size_t i = 0; i < lines.size(); ++i) {
    const Json line = Json::parse(lines[i]);
    EXPECT_EQ(line["doc_id"], i);
    EXPECT_EQ(line["id"], "s" + std::to_string(i));
    EXPECT_EQ(line["filtered_resps"], "a" + std::to_string(i));
    EXPECT_EQ(line["exact_match"], 1.0);
  }
  EXPECT_EQ(result.tasks[0].score, 1.0);
}

TEST(RunEval, GivesTheSameFilesForAnyConcurrency) {
  const SmallRun small(5, 4);
  Answering one, many;
  RunEval(small.Make("one"), one.Ask());
  EvalRun run = small.Make("many");
  run.concurrency = 7;
  RunEval(run, many.Ask());
  EXPECT_EQ(many.asked.size(), 20u);
  EXPECT_EQ(FinalFilesIn(small.out("one")), FinalFilesIn(small.out("many")));
}

TEST(RunEval, ASampleFileCanBeScoredAgain) {
  const SmallRun small;
  Answering model;
  const EvalResult result = RunEval(small.Make(), model.Ask());
  Scoring scoring("exact_match");
  for (const std::string& line : LinesOf(result.tasks[0].samples_file)) scoring.Score(line);
  EXPECT_EQ(Json::parse(scoring.Summary())["summary"]["score"], 1.0);
}

// Stopped before every request in turn, and at every byte of what that left on the disk: the same files, no question twice.
TEST(RunEval, GoesOnWhereItWasKilled) {
  const SmallRun small(2, 3);
  Answering whole;
  RunEval(small.Make("whole"), whole.Ask());
  const auto files = FinalFilesIn(small.out("whole"));
  for (size_t stop = 0; stop <= 6; ++stop) {
    const std::string out = "stopped" + std::to_string(stop);
    std::map<std::string, int> answered;
    Answering model;
    model.before = [&](const Request& request) {
      if (model.asked.size() == stop) throw Stopped{};
      ++answered[request.id];
    };
    if (stop < 6) {
      EXPECT_THROW(RunEval(small.Make(out), model.Ask()), Stopped);
    } else {
      RunEval(small.Make(out), model.Ask());
    }
    // What a process that is killed while it writes may leave.
    std::ofstream(small.out(out) / "journal_0_of_1.jsonl", std::ios::app)
        << R"({"task":0,"doc_id")";
    std::vector<std::string> notes;
    Answering rest;
    rest.before = [&](const Request& request) { ++answered[request.id]; };
    RunEval(small.Make(out), rest.Ask(),
            {.on_note = [&](const std::string& note) { notes.push_back(note); }});
    EXPECT_THAT(notes, ElementsAre(HasSubstr("was cut off: it is torn")));
    EXPECT_EQ(answered.size(), 6u);
    for (const auto& [id, times] : answered) EXPECT_EQ(times, 1) << id;
    EXPECT_EQ(FinalFilesIn(small.out(out)), files);
    std::filesystem::remove_all(small.out(out));
  }
}

TEST(RunEval, OnceMoreAsksNothingAndWritesTheSame) {
  const SmallRun small;
  Answering model, again;
  RunEval(small.Make(), model.Ask());
  const auto files = FinalFilesIn(small.out());
  const EvalResult result = RunEval(small.Make(), again.Ask());
  EXPECT_TRUE(again.asked.empty());
  EXPECT_EQ(result.progress.resumed, 12);
  EXPECT_EQ(FinalFilesIn(small.out()), files);
}

TEST(RunEval, FreshBeginsAnew) {
  const SmallRun small;
  Answering model, again;
  RunEval(small.Make(), model.Ask());
  EvalRun run = small.Make();
  run.fresh = true;
  RunEval(run, again.Ask());
  EXPECT_EQ(again.asked.size(), 12u);
}

TEST(RunEval, RefusesTheJournalOfAnotherRunAndSaysWhatDiffers) {
  const SmallRun small;
  Answering model;
  RunEval(small.Make(), model.Ask());
  const auto refused = [&](const EvalRun& run, const std::string& what) {
    const Error error = Thrown([&] { RunEval(run, model.Ask()); });
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(
        error.message(),
        AllOf(HasSubstr("journal_0_of_1.jsonl: is the journal of another run"), HasSubstr(what)));
  };
  EvalRun run = small.Make();
  run.prompt = "loud";
  refused(run, R"(tasks[0].prompt.name is "default", expected "loud")");
  run = small.Make();
  run.model.identity = R"({"digest": "1"})";
  refused(run, R"(model.digest is missing, expected "1")");
  run = small.Make();
  run.settings = R"({"var": {"p": 0.6}})";
  refused(run, R"(settings.var is missing, expected {"p":0.6})");
  run = small.Make();
  run.limit = 3;
  refused(run, "limit is null, expected 3");
  run = small.Make();
  run.max_new_tokens = 9;
  refused(run, "tasks[0].generation.max_new_tokens is 8, expected 9");
  run = small.Make();
  run.request.generation.seed = 4;
  refused(run, "request.seed is 0, expected 4");
  std::ofstream(small.folder().path() / "data/a.jsonl", std::ios::app) << "\n";
  refused(small.Make(), "tasks[0].data[0].bytes is ");
}

TEST(RunEval, RefusesQuestionsThatAreNotTheTasks) {
  const SmallRun small;
  Answering model;
  const auto with_hash = [&](const std::string& hash) {
    small.WriteTask("mine", "", R"(, "sha256": {"a.jsonl": ")" + hash + R"("})");
  };
  std::ifstream file(small.folder().path() / "data/a.jsonl");
  const std::string rows((std::istreambuf_iterator<char>(file)), {});
  with_hash(Sha256Of(rows + "\n"));
  EXPECT_THAT(Thrown([&] { RunEval(small.Make(), model.Ask()); }).message(),
              AllOf(HasSubstr("a.jsonl: its SHA-256 is " + Sha256Of(rows)),
                    HasSubstr("the questions of task mine 1 (w)")));
  EXPECT_TRUE(model.asked.empty());
  with_hash(Sha256Of(rows));
  RunEval(small.Make(), model.Ask());
  EXPECT_FALSE(model.asked.empty());
}

TEST(RunEval, RefusesOtherPictures) {
  const SmallRun small;
  Answering model;
  RunEval(small.Make(), model.Ask());
  small.folder().Write("data/1.png", "longer");
  EXPECT_THAT(Thrown([&] { RunEval(small.Make(), model.Ask()); }).message(),
              HasSubstr("tasks[0].pictures.bytes is 4, expected 9"));
}

TEST(RunEval, TellsALineThatIsDamagedInTheMiddle) {
  const SmallRun small;
  Answering model;
  RunEval(small.Make(), model.Ask());
  const auto path = small.out() / "journal_0_of_1.jsonl";
  std::string text = ReadAllOf(path);
  text[text.find("a5")] = 'b';
  std::ofstream(path, std::ios::binary) << text;
  const Error error = Thrown([&] { RunEval(small.Make(), model.Ask()); });
  EXPECT_EQ(error.code(), Code::kDataLoss);
  EXPECT_THAT(error.message(), HasSubstr("journal_0_of_1.jsonl: line "));
}

TEST(RunEval, TellsASampleThatWasAnsweredTwice) {
  const SmallRun small;
  Answering model;
  RunEval(small.Make(), model.Ask());
  const auto path = small.out() / "journal_0_of_1.jsonl";
  std::ofstream(path, std::ios::app) << LinesOf(path)[3] << "\n";
  EXPECT_THAT(Thrown([&] { RunEval(small.Make(), model.Ask()); }).message(),
              HasSubstr("line 14: sample s8 was answered in line 4 already"));
}

TEST(RunEval, CountsFailuresApartAndAsksThemAgain) {
  const SmallRun small(2, 3);
  Answering model;
  model.before = [](const Request& request) {
    if (request.id == "s1" || request.id == "s4")
      throw Error(Code::kInvalidArgument, "bad picture");
  };
  EvalResult result = RunEval(small.Make(), model.Ask());
  EXPECT_EQ(result.first_failure, "INVALID_ARGUMENT: bad picture");
  EXPECT_EQ(result.tasks[0].failed, 2);
  EXPECT_EQ(result.tasks[0].answered, 4);
  EXPECT_EQ(result.tasks[0].score, 1.0);  // of those that were answered
  const Json failed = Json::parse(LinesOf(result.tasks[0].samples_file)[1]);
  EXPECT_EQ(failed["error"]["code"], "INVALID_ARGUMENT");
  EXPECT_FALSE(failed.contains("exact_match"));
  const Json ours = Json::parse(ReadAllOf(result.results_file))["binocle"]["tasks"]["mine"];
  EXPECT_EQ(ours["failed_by_code"], Json({{"INVALID_ARGUMENT", 2}}));
  EXPECT_EQ(ours["failures"][0]["id"], "s1");

  Answering better;
  result = RunEval(small.Make(), better.Ask());
  EXPECT_THAT(Prompts(better), ElementsAre("q1", "q4"));
  Answering whole;
  RunEval(small.Make("whole"), whole.Ask());
  EXPECT_EQ(FinalFilesIn(small.out()), FinalFilesIn(small.out("whole")));
}

TEST(RunEval, StopsAskingAServerThatIsGone) {
  const SmallRun small(10, 10);
  Answering model;
  int tried = 0;
  model.before = [&](const Request&) {
    if (++tried > 20) throw Error(Code::kUnavailable, "nobody there");
  };
  const EvalResult result = RunEval(small.Make(), model.Ask());
  EXPECT_EQ(result.tasks[0].answered, 20);
  EXPECT_EQ(result.tasks[0].failed, 80);
  EXPECT_EQ(tried, 30);  // ten in a row with one request at a time
  Answering back;
  EXPECT_EQ(RunEval(small.Make(), back.Ask()).tasks[0].failed, 0);
  EXPECT_EQ(back.asked.size(), 80u);
}

TEST(RunEval, EndsWithAnErrorAboutAnOption) {
  const SmallRun small;
  Answering model;
  model.before = [&](const Request&) {
    if (model.asked.size() == 3) throw Error(Code::kInvalidArgument, "var is not for it", "var");
  };
  EXPECT_EQ(Thrown([&] { RunEval(small.Make(), model.Ask()); }).option(), "var");
  EXPECT_EQ(LinesOf(small.out() / "journal_0_of_1.jsonl").size(), 4u);
}

TEST(RunEval, CountsEmptyAnswersAndScoresThem) {
  const SmallRun small(1, 2);
  const EvalResult result = RunEval(small.Make(), [](const Request&) {
    Response response;
    response.answers.emplace_back().text = " \n";
    return response;
  });
  EXPECT_EQ(result.tasks[0].empty, 2);
  EXPECT_EQ(result.tasks[0].score, 0.0);
}

TEST(RunEval, TellsSkippedRowsByFileAndLine) {
  const SmallRun small(2, 1);
  std::ofstream(small.folder().path() / "data/a.jsonl", std::ios::app)
      << R"({"id": "x", "q": "q9", "a": "a9", "image": "gone.png"})"
      << "\nnonsense\n";
  std::vector<std::string> notes;
  Answering model;
  const EvalResult result =
      RunEval(small.Make(), model.Ask(),
              {.on_note = [&](const std::string& note) { notes.push_back(note); }});
  EXPECT_THAT(notes, ElementsAre("a.jsonl:3: picture gone.png is not there; skipped",
                                 HasSubstr("a.jsonl:4: ")));
  EXPECT_EQ(result.tasks[0].skipped, 2);
  const Json ours = Json::parse(ReadAllOf(result.results_file))["binocle"]["tasks"]["mine"];
  EXPECT_EQ(ours["skipped"], Json::parse(R"({"skipped": 2, "syntax": 1, "image": 1})"));
  EXPECT_EQ(ours["problems"][0]["message"], "a.jsonl:3: picture gone.png is not there");
}

TEST(RunEval, RefusesRowsThatNoAnswerCouldBeScoredFor) {
  const SmallRun small(1, 2, R"("scorer": "pope_llava")");
  small.folder().Write("data/a.jsonl", R"({"id": 1, "q": "q1", "a": "yes", "image": "0.png"})"
                                       "\n"
                                       R"({"id": 2, "q": "q2", "a": "perhaps", "image": "0.png"})"
                                       "\n");
  Answering model;
  const EvalResult result = RunEval(small.Make(), model.Ask());
  EXPECT_EQ(model.asked.size(), 1u);
  EXPECT_EQ(result.tasks[0].skipped, 1);
}

TEST(RunEval, TakesTheFirstSamplesOfALimit) {
  const SmallRun small(3, 2);
  EvalRun run = small.Make();
  run.limit = 4;
  Answering model;
  const EvalResult result = RunEval(run, model.Ask());
  EXPECT_THAT(Prompts(model), ElementsAre("q0", "q3", "q1", "q2"));
  EXPECT_EQ(Json::parse(ReadAllOf(result.results_file))["n-samples"]["mine"],
            Json({{"original", 6}, {"effective", 4}}));
}

// A scheduler that is asked to do part 0 of 4 again may call it the whole.
TEST(RunEval, RefusesAFolderThatHoldsPartsOfAnotherDivision) {
  const SmallRun small(3, 2);
  Answering model;
  EvalRun run = small.Make();
  run.shard = {.index = 1, .count = 2};
  RunEval(run, model.Ask());
  for (const EvalShard other : {EvalShard{0, 1}, EvalShard{1, 3}}) {
    run.shard = other;
    const Error error = Thrown([&] { RunEval(run, model.Ask()); });
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("holds journal_1_of_2.jsonl, a part of 2"));
  }
  run.shard = {.index = 0, .count = 2};
  RunEval(run, model.Ask());
  // What a merge into the same folder writes is in nobody's way.
  MergeEval({run.out}, run.out);
  RunEval(run, model.Ask());
  EXPECT_EQ(model.asked.size(), 6u);
}

TEST(RunEval, GroupsPicturesAcrossTasks) {
  SmallRun small(2, 1);
  small.WriteTask("other");
  EvalRun run = small.Make();
  run.tasks.push_back((small.folder().path() / "other.json").string());
  Answering model;
  const EvalResult result = RunEval(run, model.Ask());
  EXPECT_THAT(Prompts(model), ElementsAre("q0", "q0", "q1", "q1"));
  EXPECT_EQ(result.tasks.size(), 2u);
}

TEST(RunEval, ChoosesThePromptOfTheFamily) {
  const SmallRun small(1, 1);
  EvalRun run = small.Make();
  run.model.family = "loud";
  Answering model;
  RunEval(run, model.Ask());
  EXPECT_THAT(Prompts(model), ElementsAre("q0!"));
  run = small.Make("other");
  run.prompt = "quiet";
  EXPECT_EQ(Thrown([&] { RunEval(run, model.Ask()); }).message(),
            "prompt is quiet, expected one that task mine has: default, loud");
}

TEST(RunEval, RefusesOptionsOutOfRange) {
  const SmallRun small(1, 1);
  Answering model;
  const auto option = [&](const std::function<void(EvalRun&)>& change) {
    EvalRun run = small.Make();
    change(run);
    return Thrown([&] { RunEval(run, model.Ask()); }).option();
  };
  EXPECT_EQ(option([](EvalRun& run) { run.limit = 0; }), "limit");
  EXPECT_EQ(option([](EvalRun& run) { run.concurrency = 0; }), "concurrency");
  EXPECT_EQ(option([](EvalRun& run) { run.shard = {4, 4}; }), "shard");
  EXPECT_EQ(option([](EvalRun& run) { run.request.generation.n = 2; }), "n");
  EXPECT_EQ(option([](EvalRun& run) { run.tasks.clear(); }), "tasks");
  EXPECT_FALSE(std::filesystem::exists(small.out()));
}

TEST(RunEval, StopsWhenItIsTold) {
  const SmallRun small(3, 2);
  Answering model;
  const EvalResult result =
      RunEval(small.Make(), model.Ask(), {.keep_going = [&] { return model.asked.size() < 2; }});
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.progress.done, 2);
  EXPECT_TRUE(FinalFilesIn(small.out()).empty());
  Answering rest;
  EXPECT_TRUE(RunEval(small.Make(), rest.Ask()).complete);
  EXPECT_EQ(rest.asked.size(), 4u);
}

TEST(RunEval, AppliesATasksConstraintWhereAsked) {
  const SmallRun small(1, 1, R"("constraint": {"choices": ["a0", "b"]}, "scorer": "exact_match")");
  Answering free, held;
  RunEval(small.Make("free"), free.Ask());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(free.asked[0].constraint));
  EvalRun run = small.Make("held");
  run.task_constraint = true;
  RunEval(run, held.Ask());
  EXPECT_THAT(std::get<Choices>(held.asked[0].constraint).values, ElementsAre("a0", "b"));
}

TEST(RunEval, SaysWhyThereCanBeNoFolder) {
  const SmallRun small(1, 1);
  Answering model;
  EvalRun run = small.Make();
  run.out = "/proc/x";
  const Error error = Thrown([&] { RunEval(run, model.Ask()); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_NE(error.message().find("/proc/x: no folder can be made: No such file"),
            std::string::npos);
}

// Servers take ids of 256 bytes; data sets that name samples by whole questions have longer ones.
TEST(RunEval, AsksUnderShortIdsWhateverTheDatas) {
  const SmallRun small(1, 1);
  const std::string id(300, 'i');
  small.folder().Write("data/a.jsonl",
                       R"({"id": ")" + id + R"(", "q": "q0", "a": "a0", "image": "0.png"})");
  Answering model;
  const EvalResult result = RunEval(small.Make(), model.Ask());
  ASSERT_EQ(model.asked.size(), 1u);
  EXPECT_EQ(model.asked[0].id.size(), 64u);
  EXPECT_EQ(Json::parse(LinesOf(result.tasks[0].samples_file)[0])["id"], id);
}

}  // namespace
}  // namespace binocle::eval
