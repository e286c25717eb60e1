// The public interface: lines in, scored lines and a summary out.
#include <gtest/gtest.h>

#include <set>

#include "binocle/error.h"
#include "binocle/eval.h"
#include "core/json.h"

namespace binocle {
namespace {

Json Scored(const std::string& scorer, const std::string& line) {
  return Json::parse(Scoring(scorer).Score(line));
}

Json SummaryOf(const std::string& scorer, const std::vector<std::string>& lines,
               IncompleteGroups incomplete = IncompleteGroups::kRefused) {
  Scoring scoring(scorer);
  for (const std::string& line : lines) scoring.Score(line);
  return Json::parse(scoring.Summary(incomplete))["summary"];
}

std::string MessageOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  return "nothing was thrown";
}

std::string Refusal(const std::string& scorer, const std::string& line) {
  return MessageOf([&] { Scoring(scorer).Score(line); });
}

TEST(Scoring, EveryScorerThatTheIssueNamesIsThere) {
  std::set<std::string> names;
  for (const ScorerInfo& info : Scorers()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name << " twice";
    EXPECT_FALSE(info.about.empty() || info.source.empty() || info.required.empty()) << info.name;
  }
  for (const char* name :
       {"vqa_v2", "textvqa", "anls", "anls_raw", "relaxed_accuracy", "exact_match", "pope_llava",
        "pope_opera", "pope_vcd", "pope_lmms", "mme", "mmbench_letter", "mmmu_mc", "mmmu_open",
        "seed_letter", "gqa", "scienceqa", "chair"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Scoring, ALineKeepsItsTextToTheLetter) {
  Scoring scoring("exact_match");
  EXPECT_EQ(
      scoring.Score(
          R"(  { "id" : 18446744073709551616, "x":1.10,"prediction":"Red" ,"answer":"red"  }  )"),
      R"({ "id" : 18446744073709551616, "x":1.10,"prediction":"Red" ,"answer":"red","score":1.0})");
}

TEST(Scoring, AScoredLineCanBeScoredAgain) {
  const std::string first =
      Scoring("vqa_v2").Score(R"({"prediction": "Two", "references": ["2", "3", "2"]})");
  EXPECT_EQ(Json::parse(first)["parsed"], "2");
  EXPECT_EQ(Json::parse(Scoring("vqa_v2").Score(first)), Json::parse(first));
}

TEST(Scoring, BadLinesAreRefusedAndDoNotCount) {
  Scoring scoring("exact_match");
  scoring.Score(R"({"id": 1, "prediction": "a", "answer": "a"})");
  EXPECT_EQ(MessageOf([&] { scoring.Score(R"({"id": 1, "prediction": "a", "answer": "a"})"); }),
            "id is 1, which an earlier line has");
  EXPECT_EQ(MessageOf([&] { scoring.Score(R"({"id": 2, "answer": "a"})"); }),
            "prediction is missing, expected a text");
  scoring.Score(R"({"id": 2, "prediction": "", "answer": "a"})");
  const Json summary = Json::parse(scoring.Summary())["summary"];
  EXPECT_EQ(summary["lines"], 2);
  EXPECT_EQ(summary["score"], 0.5);
  EXPECT_EQ(summary["empty"], 1);
}

TEST(Scoring, ErrorsNameTheMember) {
  EXPECT_EQ(Refusal("vqa_v2", "[1]"), "is a JSON array, expected an object");
  EXPECT_EQ(Refusal("vqa_v2", R"({"prediction": "a", "prediction": "b"})"),
            "prediction is given twice");
  EXPECT_EQ(Refusal("vqa_v2", R"({"prediction": "a"})"),
            "references is missing, expected a list of texts, or answer");
  EXPECT_EQ(Refusal("vqa_v2", R"({"prediction": "a", "references": []})"),
            "references is [], expected a list of at least one text");
  EXPECT_EQ(Refusal("vqa_v2", R"({"prediction": "a", "references": [1]})"),
            "references is [1], expected a list of at least one text");
  EXPECT_EQ(Refusal("pope_llava", R"({"prediction": "a", "answer": "maybe"})"),
            "answer is \"maybe\", expected yes or no");
  EXPECT_EQ(Refusal("mmmu_mc", R"({"prediction": "a", "answer": "C", "options": ["x", "y"]})"),
            "answer is \"C\", expected one letter, A to B");
  EXPECT_EQ(
      Refusal("mmmu_mc", R"({"prediction": "a", "answer": "A", "options": {"A": "x", "C": "y"}})")
          .substr(0, 10),
      "options is");
  EXPECT_EQ(Refusal("mme", R"({"prediction": "a", "answer": "yes", "group": 1})"),
            "category is missing, expected a text or an integer");
  EXPECT_EQ(Refusal("choice_rank", R"({"answer": "A", "losses": [1]})"),
            "losses is [1], expected a list of 2 to 26 numbers");
  EXPECT_EQ(Refusal("chair", R"({"prediction": "a dog"})"),
            "objects is missing, expected a list of objects, or references");
  EXPECT_NE(
      Refusal("chair", R"({"prediction": "a dog", "objects": ["widget"]})").find("widget is none"),
      std::string::npos);
  EXPECT_EQ(Refusal("vqa_v2", "{").substr(0, 15), "not valid JSON:");
  EXPECT_EQ(Refusal("vqa_v2", "{\"prediction\": \"\xff\"}").substr(0, 15), "not valid JSON:");
  EXPECT_EQ(Refusal("vqa_v2", R"({"x": )" + std::string(100, '[') + std::string(100, ']') + "}"),
            "JSON is nested deeper than 64 levels");
  EXPECT_EQ(MessageOf([] { Scoring("vqa"); }).substr(0, 36),
            "scorer is vqa, expected one of vqa_v");
}

TEST(Scoring, WhatCannotBeToldIsNoAnswer) {
  const Json line =
      Scored("mmmu_mc", R"({"prediction": "hm", "answer": "A", "options": ["x", "y"]})");
  EXPECT_TRUE(line["parsed"].is_null());
  EXPECT_EQ(line["score"], 0);
  EXPECT_EQ(
      SummaryOf("mmmu_mc",
                {R"({"prediction": "hm", "answer": "A", "options": ["x", "y"]})"})["no_answer"],
      1);
}

TEST(Scoring, TheSmallestLossChooses) {
  EXPECT_EQ(Scored("choice_rank", R"({"answer": "B", "losses": [2, 0.5, 0.5]})")["score"], 1);
  EXPECT_EQ(SummaryOf("choice_rank", {R"({"answer": "C", "losses": [2, 0.5, 0.5]})"})["empty"], 0);
}

TEST(Scoring, OptionsMayBeUnderTheirLetters) {
  EXPECT_EQ(Scored("mmbench_letter",
                   R"({"prediction": "blue", "answer": "B", "options": {"A": "red", "B": "blue"}})")
                ["score"],
            1);
}

TEST(Scoring, YesAndNoHaveTheirTotals) {
  const Json s =
      SummaryOf("pope_lmms", {R"({"prediction": "yes", "answer": "yes", "category": "random"})",
                              R"({"prediction": "no", "answer": "yes"})",
                              R"({"prediction": "yes", "answer": "no"})",
                              R"({"prediction": "maybe", "answer": "yes"})"});
  EXPECT_EQ(s["accuracy"], 0.25);
  EXPECT_EQ(s["precision"], 0.5);
  EXPECT_EQ(s["recall"], 0.5) << "an answer that is neither does not count";
  EXPECT_EQ(s["f1"], 0.5);
  EXPECT_EQ(s["yes_ratio"], 0.5);
  EXPECT_EQ(s["wanted_yes_ratio"], 0.75) << "what lmms-eval calls its yes ratio";
  EXPECT_EQ(s["no_answer"], 1);
  EXPECT_EQ(s["categories"]["random"]["accuracy"], 1);
  EXPECT_EQ(SummaryOf("pope_vlmeval", {R"({"prediction": "yes", "answer": "yes"})",
                                       R"({"prediction": "maybe", "answer": "yes"})"})["recall"],
            0.5)
      << "and VLMEvalKit counts it as no";
  EXPECT_TRUE(
      SummaryOf("pope_lmms", {R"({"prediction": "no", "answer": "no"})"})["precision"].is_null());
}

TEST(Scoring, MmeCountsPairs) {
  const auto line = [](const char* category, int group, const char* prediction) {
    return Json{
        {"prediction", prediction}, {"answer", "yes"}, {"category", category}, {"group", group}}
        .dump();
  };
  const std::vector<std::string> lines = {
      line("count", 1, "yes"), line("count", 1, "yes"),          line("count", 2, "yes"),
      line("count", 2, "no"),  line("code_reasoning", 1, "yes"), line("code_reasoning", 1, "yes")};
  const Json s = SummaryOf("mme", lines);
  EXPECT_DOUBLE_EQ(s["perception"].get<double>(), 75 + 50);
  EXPECT_DOUBLE_EQ(s["cognition"].get<double>(), 200);
  EXPECT_DOUBLE_EQ(s["categories"]["count"]["mme"].get<double>(), 125);
  std::vector<std::string> odd = lines;
  odd.pop_back();
  EXPECT_EQ(MessageOf([&] { SummaryOf("mme", odd); }),
            "group 1 of category code_reasoning has 1 lines, expected 2");
  const Json left = SummaryOf("mme", odd, IncompleteGroups::kLeftOut);
  EXPECT_EQ(left["incomplete_groups"], 1);
  EXPECT_EQ(left["cognition"], 0);
}

TEST(Scoring, CircularEvalWantsEveryTurn) {
  const auto line = [](const char* group, const char* prediction) {
    Json json{{"prediction", prediction}, {"answer", "A"}, {"options", {"x", "y"}}};
    if (*group != '\0') json["group"] = group;
    return json.dump();
  };
  const Json s = SummaryOf("mmbench_letter", {line("q1", "A"), line("q1", "B"), line("q2", "A"),
                                              line("q2", "A"), line("", "A"), line("", "B")});
  EXPECT_EQ(s["questions"], 4);
  EXPECT_EQ(s["circular"], 0.5);
  EXPECT_DOUBLE_EQ(s["score"].get<double>(), 4.0 / 6);
}

// A turn that is missing (a limit, a damaged row, a failed request) must not make its question an easier one.
TEST(Scoring, CircularEvalLeavesOutQuestionsWithAMissingTurn) {
  const auto line = [](const char* group, const char* prediction) {
    return Json{
        {"prediction", prediction}, {"answer", "A"}, {"options", {"x", "y", "z"}}, {"group", group}}
        .dump();
  };
  const std::vector<std::string> lines = {line("q1", "A"), line("q1", "A"), line("q2", "A"),
                                          line("q3", "A"), line("q3", "B"), line("q3", "A")};
  EXPECT_EQ(MessageOf([&] { SummaryOf("mmbench_letter", lines); }),
            "group q1 has 2 lines, expected 3, one for each turn of its options");
  const Json s = SummaryOf("mmbench_letter", lines, IncompleteGroups::kLeftOut);
  EXPECT_EQ(s["questions"], 1);
  EXPECT_EQ(s["circular"], 0);
  EXPECT_EQ(s["incomplete_groups"], 2);
  const Json none = SummaryOf("mmbench_letter", {line("q1", "A")}, IncompleteGroups::kLeftOut);
  EXPECT_TRUE(none["circular"].is_null()) << "nothing was answered whole";
}

TEST(Scoring, ChairComesWithWhatKeepsItHonest) {
  const Json line = Scored(
      "chair",
      R"({"prediction": "A dog and two cats. A cat.", "objects": ["dog"], "references": ["a sofa"]})");
  EXPECT_EQ(line["named"], Json({"dog", "cat", "cat"}));
  EXPECT_EQ(line["hallucinated"], Json({"cat", "cat"}));
  EXPECT_EQ(line["recall"], 0.5);
  const Json s = SummaryOf(
      "chair", {R"({"prediction": "A dog and two cats. A cat.", "objects": ["dog", "couch"]})",
                R"({"prediction": "a dog a dog a dog a dog", "objects": ["dog"]})"});
  EXPECT_EQ(s["chair_s"], 0.5);
  EXPECT_DOUBLE_EQ(s["chair_i"].get<double>(), 2.0 / 7);
  EXPECT_DOUBLE_EQ(s["recall"].get<double>(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(s["precision"].get<double>(), 2.0 / 3);
  EXPECT_EQ(s["words"], 7.5);
  EXPECT_EQ(s["repetition"], 0.5);
}

TEST(Scoring, ChairWithObjectsOfOnesOwn) {
  const ScoringOptions options{.objects = R"({"objects": {"red circle": [], "dog": []}})"};
  Scoring scoring("chair", options);
  const Json line = Json::parse(scoring.Score(
      R"({"prediction": "a red circle and a chair", "references": ["a red circle and a dog"]})"));
  EXPECT_EQ(line["named"], Json({"red circle"}));
  EXPECT_EQ(line["score"], 1.0);
  EXPECT_EQ(line["recall"], 0.5);
  const auto option = [&](const std::string& scorer, const ScoringOptions& with) {
    try {
      Scoring refused(scorer, with);
    } catch (const Error& error) {
      return error.option();
    }
    return std::string("no error");
  };
  EXPECT_EQ(option("exact_match", options), "objects");
  EXPECT_EQ(option("chair", {.objects = "[]"}), "objects");
}

}  // namespace
}  // namespace binocle
