#include <gtest/gtest.h>

#include <random>

#include "binocle/eval.h"
#include "binocle/eval_report.h"
#include "core/json.h"
#include "eval/report/charts.h"
#include "eval/report/same_questions.h"
#include "eval/report/sweep.h"
#include "eval/report/task_report.h"
#include "tests/eval/report/reports.h"

namespace binocle::eval {
namespace {

constexpr const char* kAnswer = R"(, "answer": "a")";

TaskReport ReportOf(const RunFiles& files) {
  return ReportTask(files, files.tasks.at(0), {.worst = 4});
}

TEST(TaskReport, HasTheScoreOfTheRunAndItsParts) {
  const std::vector<std::string> answers = {"a0", "a1", "a2", "a3", "a4", "a5"};
  std::string rows = RowsOf(answers, R"(, "k": "K", "t": "T")");
  rows.replace(rows.find("\"K\""), 3, "\"J\"");
  const Finished finished(rows, R"(, "answer": "a", "category": "k", "answer_type": "t")",
                          R"("scorer": "exact_match", "also_scorers": ["anls"])");
  const RunFiles files = ReadRunFiles(finished.Run("out", AnswersBut(answers, {0, 5})));
  const TaskReport report = ReportOf(files);
  ASSERT_TRUE(report.estimate.score);
  EXPECT_NEAR(report.estimate.score->value, 4.0 / 6, 1e-12);
  EXPECT_EQ(report.estimate.groups, 3);
  ASSERT_EQ(report.categories.size(), 2u);
  EXPECT_EQ(report.categories[0].name, "J");
  EXPECT_EQ(report.categories[0].score->value, 0);
  EXPECT_NEAR(report.categories[1].score->value, 0.8, 1e-12);
  ASSERT_EQ(report.answer_types.size(), 1u);
  EXPECT_EQ(report.answer_types[0].samples, 6);
  ASSERT_EQ(report.scorers.size(), 2u);
  EXPECT_EQ(report.scorers[1].name, "anls");
  ASSERT_EQ(report.worst.size(), 2u);
  EXPECT_EQ(report.worst[0]->id, "s0");
  EXPECT_EQ(report.worst[1]->id, "s5");
}

TEST(TaskReport, ACategoryOfWhichNothingWasAnsweredIsThere) {
  const std::vector<std::string> answers = {"a0", "a1", "a2"};
  std::string rows = RowsOf(answers, R"(, "k": "K")");
  rows.replace(rows.find("\"K\""), 3, "\"J\"");
  const Finished finished(rows, R"(, "answer": "a", "category": "k")",
                          R"("scorer": "exact_match")");
  const std::string run = finished.Run("out", [](const std::string& prompt) -> std::string {
    if (prompt == "q0") throw Error(Code::kUnavailable, "nobody");
    return "a1";
  });
  const RunFiles files = ReadRunFiles(run);
  const TaskReport report = ReportOf(files);
  ASSERT_EQ(report.categories.size(), 2u);
  EXPECT_EQ(report.categories[0].name, "J");
  EXPECT_FALSE(report.categories[0].score);
  EXPECT_EQ(report.categories[0].unscored, 1);
  EXPECT_EQ(report.categories[1].unscored, 0);
  EXPECT_NE(ReportEval({run}, {}).html.find("without a score"), std::string::npos);
}

TEST(TaskReport, ShowsEveryCategoryAmongTheWorst) {
  std::string rows;
  std::vector<std::string> answers;
  for (int i = 0; i < 12; ++i) {
    answers.push_back("a");
    rows += R"({"id": "s)" + std::to_string(i) + R"(", "q": "q)" + std::to_string(i) +
            R"(", "a": "a", "image": "0.png", "k": ")" + (i < 10 ? "common" : "rare") + "\"}\n";
  }
  const Finished finished(rows, R"(, "answer": "a", "category": "k")",
                          R"("scorer": "exact_match")");
  const RunFiles files =
      ReadRunFiles(finished.Run("out", [](const std::string&) { return "wrong"; }));
  const TaskReport report = ReportOf(files);
  ASSERT_EQ(report.worst.size(), 4u);
  EXPECT_EQ(report.worst[1]->id, "s10");
  EXPECT_EQ(report.worst[3]->id, "s11");
}

// Against the scorers, which count in their own way.
TEST(TaskReport, ReadsYesAndNoAsEachScorerDoes) {
  const std::vector<std::string> said = {"yes",       "No, there is none.", "NO",     "no!",
                                         "It isn't.", "A cat. no dog",      "I know", "",
                                         "Yes.",      "nothing at all"};
  std::mt19937 random(7);
  std::vector<std::string> wanted, answers;
  for (int i = 0; i < 80; ++i) {
    wanted.emplace_back(random() % 2 == 0 ? "yes" : "no");
    answers.push_back(said[random() % said.size()]);
  }
  const Finished finished(RowsOf(wanted), kAnswer, R"("scorer": "pope_lmms")");
  const RunFiles files = ReadRunFiles(finished.Run("out", AnswersBut(answers, {})));
  const TaskReport report = ReportOf(files);
  EXPECT_EQ(report.yes_no_samples, 80);
  ASSERT_EQ(report.yes_no.size(), 5u);
  for (const YesNoScore& score : report.yes_no) {
    Scoring scoring(score.parser);
    for (size_t i = 0; i < wanted.size(); ++i)
      scoring.Score(Json{{"prediction", answers[i]}, {"answer", wanted[i]}}.dump());
    const Json summary = Json::parse(scoring.Summary())["summary"];
    EXPECT_NEAR(score.accuracy->value, summary["accuracy"].get<double>(), 1e-12) << score.parser;
    EXPECT_NEAR(score.f1->value, summary["f1"].get<double>(), 1e-12) << score.parser;
    EXPECT_NEAR(score.yes_ratio->value, summary["yes_ratio"].get<double>(), 1e-12) << score.parser;
    EXPECT_EQ(score.table[0][0], summary["tp"]) << score.parser;
    EXPECT_EQ(score.table[1][0], summary["fp"]) << score.parser;
    EXPECT_EQ(score.table[1][1], summary["tn"]) << score.parser;
    EXPECT_EQ(score.table[0][1], summary["fn"]) << score.parser;
  }
}

TEST(TaskReport, CountsLettersWantedByLettersChosen) {
  const Finished finished(RowsOf({"A", "B", "B", "C"}, R"(, "o": ["red", "blue", "green"])"),
                          R"(, "answer": "a", "answer_form": "letter", "options": "o")",
                          R"("scorer": "seed_letter")");
  const std::vector<std::string> said = {"A", "C", "B", "?"};
  const RunFiles files = ReadRunFiles(finished.Run("out", AnswersBut(said, {})));
  const TaskReport report = ReportOf(files);
  ASSERT_TRUE(report.choices);
  EXPECT_EQ(report.choices->letters, (std::vector<std::string>{"A", "B", "C"}));
  const std::vector<std::vector<int64_t>> counts = {{1, 0, 0, 0}, {0, 1, 1, 0}, {0, 0, 0, 1}};
  EXPECT_EQ(report.choices->counts, counts);
}

TEST(TaskReport, SaysHowChairErrsAndHowCaptionsAreWritten) {
  const Finished finished(RowsOf({"dog", "cat"}), R"(, "references": "a")", R"("scorer": "chair")");
  const std::vector<std::string> said = {"a dog and a cat and a horse",
                                         "a cat a cat a cat a cat a cat a cat"};
  const RunFiles files = ReadRunFiles(finished.Run("out", AnswersBut(said, {})));
  const TaskReport report = ReportOf(files);
  ASSERT_TRUE(report.chair_i);
  EXPECT_NEAR(report.chair_i->value, 2.0 / 9, 1e-12);  // cat and horse, of nine mentions
  EXPECT_EQ(report.style.words, (std::vector<double>{8, 12}));
  EXPECT_EQ(report.style.repetitive, 1);
}

// Two questions a picture and three pictures of two categories; q1 and q4 are wrong.
constexpr const char* kMmeRows =
    R"({"id": "s0", "q": "q0", "a": "yes", "image": "0.png", "k": "count", "g": "0"}
{"id": "s1", "q": "q1", "a": "no", "image": "0.png", "k": "count", "g": "0"}
{"id": "s2", "q": "q2", "a": "yes", "image": "1.png", "k": "count", "g": "1"}
{"id": "s3", "q": "q3", "a": "no", "image": "1.png", "k": "count", "g": "1"}
{"id": "s4", "q": "q4", "a": "yes", "image": "2.png", "k": "color", "g": "2"}
{"id": "s5", "q": "q5", "a": "no", "image": "2.png", "k": "color", "g": "2"}
)";
const std::vector<std::string> kMmeAnswers = {"yes", "no", "yes", "no", "yes", "no"};

TEST(Report, LeadsWithTheNumberThatIsPublished) {
  const Finished finished(kMmeRows, R"(, "answer": "a", "category": "k", "group": "g")",
                          R"("scorer": "mme")");
  const std::string out = finished.Run("out", AnswersBut(kMmeAnswers, {1, 4}, "maybe"));
  const Json results = Json::parse(ReadAllOf(out + "/m_results.json"));
  EXPECT_EQ(results["results"]["mine"]["score,none"], 175);  // count 75 + 50, color 50 + 0
  EXPECT_EQ(results["results"]["mine"]["mme_mme,none"], 175);
  EXPECT_NEAR(results["results"]["mine"]["mme,none"].get<double>(), 4.0 / 6, 1e-12);
  EXPECT_EQ(results["binocle"]["tasks"]["mine"]["metric"], "mme");
  const EvalReport report = ReportEval({out}, {});
  EXPECT_EQ(report.tasks[0].metric, "mme");
  EXPECT_EQ(report.tasks[0].score->value, 175);
  EXPECT_EQ(report.tasks[0].score->low, 50 + 50);  // one picture of each category drawn twice
  EXPECT_EQ(report.tasks[0].score->high, 200 + 50);
  EXPECT_EQ(report.tasks[0].most, 400);
  EXPECT_NE(report.html.find("<td data-column=\"metric\">mme</td>"), std::string::npos);
  const TaskReport parts = ReportOf(ReadRunFiles(out));
  EXPECT_EQ(parts.categories[1].score->value, 125) << parts.categories[1].name;
  const std::string right = finished.Run("right", AnswersBut(kMmeAnswers, {}));
  const EvalTaskComparison compared = CompareEval({out, right}, {}).tasks.at(0);
  EXPECT_EQ(compared.metric, "mme");
  EXPECT_EQ(compared.score_after, 400);
  EXPECT_EQ(compared.difference->value, 225);
  EXPECT_EQ(compared.better, 2);
}

TEST(Report, TakesTurnsTogetherAndSaysWhichAreMissing) {
  std::string rows = RowsOf({"A", "A", "A", "A"}, R"(, "o": ["red", "blue"], "g": "G")");
  for (const char* group : {"0", "0", "1", "1"}) rows.replace(rows.find("\"G\""), 3, group);
  const Finished finished(
      rows, R"(, "answer": "a", "answer_form": "letter", "options": "o", "group": "g")",
      R"("scorer": "mmbench_letter")");
  const std::string out = finished.Run("out", AnswersBut({"A", "A", "A", "B"}, {}));
  EXPECT_EQ(ReportEval({out}, {}).tasks[0].score->value, 0.5);
  const std::string part = finished.Run("part", [](const std::string& prompt) {
    if (prompt == "q3") throw Error(Code::kUnavailable, "nobody");
    return std::string(prompt == "q0" ? "B" : "A");
  });
  const EvalReport report = ReportEval({part}, {});
  EXPECT_EQ(report.tasks[0].metric, "circular");
  EXPECT_EQ(report.tasks[0].score->value, 0);
  EXPECT_EQ(report.tasks[0].incomplete_groups, 1);
  EXPECT_NE(report.html.find("incomplete: 3 of 4 answered, 1 groups left out"), std::string::npos);
  const EvalTaskComparison compared = CompareEval({out, part}, {}).tasks.at(0);
  EXPECT_EQ(compared.difference->value, -1);
  EXPECT_EQ(compared.incomplete_groups, 1);
}

TEST(Report, OfCaptionsLeadsWithWhatIsWrong) {
  const Finished finished(RowsOf({"dog", "cat"}), R"(, "references": "a")", R"("scorer": "chair")");
  const std::string out = finished.Run("out", AnswersBut({"a dog", "a cat", ""}, {1}, "a horse"));
  const EvalReport report = ReportEval({out}, {});
  EXPECT_EQ(report.tasks[0].metric, "chair_s");
  EXPECT_FALSE(report.tasks[0].higher_is_better);
  EXPECT_EQ(report.tasks[0].score->value, 0.5);
  EXPECT_NE(report.html.find("chair_s (lower is better)"), std::string::npos);
  const Json results = Json::parse(ReadAllOf(out + "/m_results.json"));
  EXPECT_EQ(results["results"]["mine"]["score,none"], 0.5);
  EXPECT_EQ(results["higher_is_better"]["mine"]["score"], false);
}

TEST(Report, HasTheSameBytesForTheSameFilesAndSeed) {
  const std::vector<std::string> answers = {"a0", "a1", "a2", "a3", "a4", "a5"};
  const Finished finished(RowsOf(answers), kAnswer, R"("scorer": "exact_match")");
  const std::string out = finished.Run("out", AnswersBut(answers, {1}));
  EXPECT_EQ(ReportEval({out}, {}).html, ReportEval({out}, {}).html);
  EXPECT_NE(ReportEval({out}, {}).html, ReportEval({out}, {.resampling = {.seed = 9}}).html);
}

// Whatever a file holds stays text: nothing of it may close an element, open one, or be an attribute.
TEST(Report, TakesHostileTextForText) {
  const std::string hostile = R"(</script></style><img src=x onerror=alert(1)>"'><b>&)"
                              "\x01\xe2\x80\xae";
  const std::string escaped = Json(hostile).dump();
  std::string rows;
  for (int i = 0; i < 2; ++i)
    rows += R"({"id": )" + Json(hostile + std::to_string(i)).dump() + R"(, "q": )" + escaped +
            R"(, "a": "a", "image": "0.png", "k": )" + escaped + R"(, "t": )" + escaped + "}\n";
  const Finished finished(rows, R"(, "answer": "a", "category": "k", "answer_type": "t")",
                          R"("scorer": "exact_match")");
  const std::string first = finished.Run("out", [&](const std::string&) { return hostile; });
  const std::string second = finished.Run("right<b>", [&](const std::string&) { return "a"; });
  EvalReportOptions options;
  options.figures = [&](const EvalShownSample& sample) {
    return std::vector<EvalFigure>{
        {.bytes = "<svg onload=alert(1)>", .caption = sample.prediction}};
  };
  for (const std::string& html :
       {ReportEval({first}, options).html, ReportEval({first, second}, options).html,
        ComparisonHtml(CompareEval({first, second}, {}))}) {
    EXPECT_EQ(html.find("<img"), std::string::npos);
    EXPECT_EQ(html.find("<script"), std::string::npos);
    EXPECT_EQ(html.find("</script"), std::string::npos);
    EXPECT_EQ(html.find("onerror=alert(1)>"), std::string::npos);
    EXPECT_EQ(html.find("<svg onload"), std::string::npos);
    EXPECT_EQ(html.find("right<b>"), std::string::npos);
    EXPECT_EQ(html.find('\x01'), std::string::npos);
    EXPECT_EQ(html.find("</style", html.find("</style") + 1), std::string::npos);
    EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  }
  EXPECT_NE(ReportEval({first}, options).html.find("&lt;/script&gt;&lt;/style&gt;&lt;img src=x"),
            std::string::npos);
}

TEST(Report, EmbedsPicturesByWhatTheyAre) {
  const Finished finished(RowsOf({"a", "a"}), kAnswer, R"("scorer": "exact_match")");
  const std::string out = finished.Run("out", [](const std::string&) { return "b"; });
  EvalReportOptions options;
  std::vector<EvalShownSample> shown;
  options.figures = [&](const EvalShownSample& sample) {
    shown.push_back(sample);
    return std::vector<EvalFigure>{{.bytes = "\x89PNG\r\n\x1a\nxy", .caption = "c"},
                                   {.bytes = "no picture", .caption = "d"}};
  };
  const std::string html = ReportEval({out}, options).html;
  EXPECT_NE(html.find("data:image/png;base64,iVBORw0KGgp4eQ==\""), std::string::npos);
  EXPECT_NE(html.find("d (no PNG, JPEG or WebP: not shown)"), std::string::npos);
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[1].id, "s1");
  EXPECT_EQ(shown[1].images, std::vector<std::string>{"0.png"});
  EXPECT_EQ(shown[1].max_new_tokens, 8);
  EXPECT_TRUE(Json::parse(shown[1].asked).contains("request"));
}

TEST(Report, HandsOutPicturesThatLieInRows) {
  const Finished finished(RowsOf({"a", "a"}), kAnswer, R"("scorer": "exact_match")");
  const std::string large(12 << 20, 'A');  // 9 MiB of zeros
  finished.folder().Write("data/a.jsonl",
                          R"({"id": "s0", "q": "q0", "a": "a", "image": ["eHl6", "YWJj"]}
{"id": "s1", "q": "q1", "a": "a", "image": [")" +
                              large + "\"]}\n");
  ReplaceIn(finished.folder().path() / "mine.json", R"("form": "path")", R"("form": "base64")");
  const std::string out = finished.Run("out", [](const std::string&) { return "b"; });
  EvalReportOptions options;
  std::vector<EvalShownSample> shown;
  options.figures = [&](const EvalShownSample& sample) {
    shown.push_back(sample);
    return std::vector<EvalFigure>{};
  };
  ReportEval({out}, options);
  options.data = (finished.folder().path() / "data").string();
  ReportEval({out}, options);
  ASSERT_EQ(shown.size(), 4u);
  EXPECT_EQ(shown[0].pictures, (std::vector<std::string>{"", ""})) << "without the data";
  EXPECT_EQ(shown[2].pictures, (std::vector<std::string>{"xyz", "abc"}));
  EXPECT_EQ(shown[3].pictures, std::vector<std::string>{""}) << "more than 8 MiB";
  options.data = out;
  EXPECT_EQ(Thrown([&] { ReportEval({out}, options); }).code(), Code::kNotFound);
}

TEST(Report, SaysThatAJudgeHasNotGraded) {
  const Finished finished(RowsOf({"a", "a"}), kAnswer, R"("judge": "wise")");
  const EvalReport report =
      ReportEval({finished.Run("out", [](const std::string&) { return "b"; })}, {});
  EXPECT_FALSE(report.tasks.at(0).score);
  EXPECT_EQ(report.tasks[0].scorer, "wise");
  EXPECT_NE(report.html.find("a judge has not graded"), std::string::npos);
}

TEST(Report, HasAScoreForEachAbility) {
  const Finished finished(RowsOf({"a", "b"}, R"(, "c": ["ocr", "math"])"),
                          R"(, "answer": "a", "abilities": "c")", R"("judge": "wise")");
  std::string rows = RowsOf({"a", "b"}, R"(, "c": ["ocr", "math"])");
  finished.folder().Write("data/a.jsonl", rows.replace(rows.rfind(", \"math\""), 8, ""));
  const std::string out = finished.Run("out", [](const std::string&) { return "b"; });
  finished.folder().Write("v.jsonl", R"({"id": "s0", "score": 1})"
                                     "\n"
                                     R"({"id": "s1", "score": 0.5})");
  JudgeEval(out, "mine", (finished.folder().path() / "v.jsonl").string());
  const Json results = Json::parse(ReadAllOf(out + "/m_results.json"));
  EXPECT_EQ(results["binocle"]["tasks"]["mine"]["abilities"],
            (Json{{"math", {{"samples", 1}, {"score", 1.0}}},
                  {"ocr", {{"samples", 2}, {"score", 0.75}}}}));
  const TaskReport report = ReportOf(ReadRunFiles(out));
  ASSERT_EQ(report.abilities.size(), 2u);
  EXPECT_EQ(report.abilities[1].name, "ocr");
  EXPECT_EQ(report.abilities[1].score->value, 0.75);
}

TEST(Report, TakesTheScoresOfAJudge) {
  const Finished finished(RowsOf({"a", "b", "c", "d"}), kAnswer, R"("judge": "wise")");
  const std::string out = finished.Run("out", [](const std::string&) { return "b"; });
  finished.folder().Write("verdicts.jsonl", R"({"id": "s0", "score": 1}
{"id": "s1", "score": 0.5}
{"id": "s2", "score": 0}
{"id": "s3", "score": 0.5}
)");
  JudgeEval(out, "mine", (finished.folder().path() / "verdicts.jsonl").string());
  const EvalEstimate task = ReportEval({out}, {}).tasks.at(0);
  ASSERT_TRUE(task.score);
  EXPECT_EQ(task.score->value, 0.5);
  EXPECT_EQ(task.groups, 2);
}

TEST(Sweep, JoinsRunsAlongTheSettingWithTheMostValues) {
  const std::vector<std::string> answers = {"a0", "a1", "a2", "a3"};
  const Finished finished(RowsOf(answers), kAnswer, R"("scorer": "exact_match")");
  std::vector<std::string> folders;
  for (const char* p : {"0.4", "0.2", "0.6"}) {
    for (const char* gamma : {"1.5", "2.0"}) {
      folders.push_back(
          finished.Run(std::string(p) + gamma, AnswersBut(answers, {1}), [&](EvalRun& run) {
            run.settings = std::string(R"({"interventions": {"guidance": {"gamma": )") + gamma +
                           R"(}, "var": {"p": )" + p + "}}}";
          }));
    }
  }
  folders.push_back(finished.Run("plain", AnswersBut(answers, {}), {}));
  const std::vector<RunFiles> runs = ReadComparableRuns(folders, 1);
  const Sweep sweep = SweepOf(runs);
  EXPECT_EQ(sweep.names,
            (std::vector<std::string>{"interventions.guidance.gamma", "interventions.var.p"}));
  const auto curves = CurvesOf(sweep);
  ASSERT_EQ(curves.size(), 3u);
  EXPECT_EQ(curves[0].name, "guidance.gamma=1.5");
  EXPECT_EQ(curves[0].runs, (std::vector<size_t>{2, 0, 4}));
  EXPECT_EQ(curves[1].runs, (std::vector<size_t>{3, 1, 5}));
  EXPECT_EQ(curves[2].runs, std::vector<size_t>{6});
  EXPECT_EQ(LabelOf(sweep, sweep.runs[6]), "without");
  EXPECT_EQ(TokensPerAnswer(runs[0].tasks[0]), 13);
  const std::string html = ReportEval(folders, {}).html;
  EXPECT_NE(html.find("seconds an answer"), std::string::npos);
  EXPECT_NE(html.find("guidance.gamma=1.5, var.p=0.6"), std::string::npos);
  EXPECT_NE(html.find("<span class=\"folder\">" + folders[0]), std::string::npos);
}

// Scores end at 1, and so does their axis.
TEST(Sweep, HasNoAxisBeyondWhatAScoreCanBe) {
  const Html html = Curves({{.points = {{.x = 1, .y = {0.95, 0, 1}}}}}, "x", "score", 1);
  EXPECT_NE(html.text.find(">1.0<"), std::string::npos) << html.text;
  EXPECT_NE(html.text.find(">0.0<"), std::string::npos);
  EXPECT_EQ(html.text.find(">1.2<"), std::string::npos);
  EXPECT_EQ(html.text.find(">-0.2<"), std::string::npos);
}

// Two curves at the same costs, as tokens often are.
TEST(Sweep, HidesNoCurveBehindAnother) {
  const EvalInterval score{0.9, 0.8, 1};
  const Curve one{.name = "a", .points = {{.x = 157.25, .y = score}, {.x = 160, .y = score}}};
  Curve other = one;
  other.name = "b";
  const std::string html = Curves({one, other}, "tokens", "score", 1).text;
  std::set<std::string> places;
  for (size_t at = 0; (at = html.find("<circle cx=", at)) != std::string::npos; ++at)
    places.insert(html.substr(at, html.find(" r=", at) - at));
  EXPECT_EQ(places.size(), 4u) << html;
  EXPECT_NE(html.find("side by side"), std::string::npos);
  EXPECT_NE(html.find("stroke-dasharray"), std::string::npos);
  EXPECT_EQ(Curves({one}, "tokens", "score", 1).text.find("side by side"), std::string::npos);
}

TEST(Sweep, MarksRunsThatAreNotOfAllSamples) {
  const std::vector<std::string> answers = {"a0", "a1", "a2", "a3"};
  const Finished finished(RowsOf(answers), kAnswer, R"("scorer": "exact_match")");
  const auto answer = AnswersBut(answers, {1});
  const std::string whole = finished.Run("whole", answer);
  EXPECT_EQ(ReportEval({whole, whole}, {}).html.find("incomplete:"), std::string::npos);
  const std::string part = finished.Run("part", [&](const std::string& prompt) {
    if (prompt == "q0") throw Error(Code::kUnavailable, "nobody");
    return answer(prompt);
  });
  const EvalReport report = ReportEval({whole, part}, {});
  EXPECT_FALSE(report.tasks.at(0).incomplete());
  EXPECT_TRUE(report.tasks.at(1).incomplete());
  const size_t section = report.html.find("<h2>mine</h2>");
  ASSERT_NE(section, std::string::npos);
  const std::string below = report.html.substr(section);
  EXPECT_NE(below.find("<span class=\"missing\">incomplete: 3 of 4 answered</span>"),
            std::string::npos);
  EXPECT_NE(below.find("class=\"hollow\""), std::string::npos);
  EXPECT_NE(below.find("incomplete: 3 of 4 answered at "), std::string::npos);
  EXPECT_NE(below.find("Rings with a star"), std::string::npos);
}

// On a narrow page cells stand alone, with the names of their columns; the score is the first.
TEST(Report, HasTheScoreBesideTheNameAndEveryColumnsNameInItsCells) {
  const Finished finished(RowsOf({"a"}), kAnswer, R"("scorer": "exact_match")");
  const std::string out = finished.Run("out", AnswersBut({"a"}, {}));
  for (const std::string& html : {ReportEval({out}, {}).html, ReportEval({out, out}, {}).html}) {
    EXPECT_NE(html.find("<th>task</th>\n<th>score (95 %)</th>"), std::string::npos);
    EXPECT_NE(html.find("<table class=\"cards\">"), std::string::npos);
    EXPECT_NE(html.find("<td data-column=\"score (95 %)\">"), std::string::npos);
    EXPECT_NE(html.find("<td data-column=\"samples\">1</td>"), std::string::npos);
  }
  const std::string compared = ComparisonHtml(CompareEval({out, out}, {}));
  EXPECT_NE(compared.find("<th>task</th>\n<th>before</th>\n<th>after</th>"), std::string::npos);
  EXPECT_NE(compared.find("<td data-column=\"difference (95 %)\">"), std::string::npos);
}

TEST(Sweep, TakesWhatIsThereOrNotForOneSetting) {
  const Finished finished(RowsOf({"a", "b"}), kAnswer, R"("scorer": "exact_match")");
  const auto answer = AnswersBut({"a", "b"}, {});
  const std::string plain = finished.Run("plain", answer);
  const std::string with = finished.Run("with", answer, [](EvalRun& run) {
    run.settings = R"({"interventions": {"var": {"p": 0.6, "dims": [3]}}})";
  });
  const std::vector<RunFiles> runs = ReadComparableRuns({plain, with}, 1);
  const Sweep sweep = SweepOf(runs);
  EXPECT_EQ(sweep.names, std::vector<std::string>{"interventions.var"});
  EXPECT_EQ(LabelOf(sweep, sweep.runs[0]), "without");
  EXPECT_EQ(LabelOf(sweep, sweep.runs[1]), "var=on");
}

}  // namespace
}  // namespace binocle::eval
