// Task files: what they may say, and what is said about mistakes in them.
#include "eval/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "eval/chair.h"
#include "tests/eval/data_folder.h"
#include "tests/testing/errors.h"

namespace binocle::eval {
namespace {

using ::binocle::testing::ErrorOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json Valid() {
  return Json::parse(R"({
    "schema": 1, "name": "mine", "version": "1", "description": "a test",
    "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "write it"},
    "columns": {"id": "id", "question": "q", "answer": "a"},
    "images": {"form": "path", "column": "image"},
    "prompts": {"default": {"text": "{question}", "source": "ours"}},
    "scorer": "exact_match",
    "generation": {"max_new_tokens": 8}})");
}

// What is said about the valid task after a change.
std::string Refusal(const std::function<void(Json&)>& change) {
  Json task = Valid();
  change(task);
  return ErrorOf([&] { ParseTask(task.dump(), "mine.json"); });
}

TEST(Task, ReadsAMinimalFile) {
  const Task task = ParseTask(Valid().dump(), "mine.json");
  EXPECT_EQ(task.name, "mine");
  EXPECT_EQ(task.generation.temperature, 0);
  EXPECT_TRUE(task.group_by_image);
  EXPECT_EQ(&task.PromptOf("a family without its own"), &task.PromptOf("default"));
}

TEST(Task, EveryFileOfOursIsValid) {
  std::vector<std::string> names;
  for (const Task& task : ReadTasks(BINOCLE_TASKS)) {
    names.push_back(task.name);
    EXPECT_FALSE(task.description.empty() || task.how_to_get.empty()) << task.name;
    EXPECT_EQ(task.generation.temperature, 0) << task.name;
  }
  EXPECT_THAT(names,
              ElementsAre("chair_coco", "chartqa", "docvqa", "gqa", "mm_vet", "mmbench", "mme",
                          "mmmu", "mmvp", "pope_adversarial", "pope_popular", "pope_random",
                          "scenes", "scenes_chair", "scenes_pope", "scienceqa", "seed_bench",
                          "sights_clip_art", "sights_in_style", "sights_long_text",
                          "sights_small_far", "sights_unseen", "textvqa", "vizwiz", "vqav2"));
}

TEST(Task, KnowsTheObjectsOfItsOwnTable) {
  const Task task = ReadTask(std::filesystem::path(BINOCLE_TASKS) / "scenes_chair.json");
  const CaptionObjects objects(task.objects);
  EXPECT_THAT(objects.Named(U"a red circle, two butterflies and the word HAT"),
              ElementsAre("red circle", "butterfly"));
  EXPECT_THAT(Refusal([](Json& json) { json["objects"] = "o.json"; }),
              HasSubstr("expected none but with the scorer chair"));
  EXPECT_THAT(Refusal([](Json& json) {
                json["scorer"] = "chair";
                json["columns"]["references"] = "r";
                json["objects"] = "../o.json";
              }),
              HasSubstr("expected paths within"));
}

TEST(Task, TellsATableThatIsNone) {
  const DataFolder folder;
  Json task = Valid();
  task["scorer"] = "chair";
  task["columns"]["references"] = "r";
  task["objects"] = "o.json";
  folder.Write("mine.json", task.dump());
  folder.Write("o.json", R"({"objects": {"Dog": []}})");
  EXPECT_THAT(ErrorOf([&] { ReadTask(folder.path() / "mine.json"); }),
              HasSubstr("o.json: the table of objects: Dog is no word"));
}

TEST(Task, RefusesUnknownKeysEverywhere) {
  EXPECT_EQ(Refusal([](Json& task) { task["scorrer"] = "x"; }),
            "INVALID_ARGUMENT: mine.json: task: unknown key scorrer");
  for (const char* part : {"data", "columns", "images", "generation"}) {
    EXPECT_THAT(Refusal([&](Json& task) { task[part]["typo"] = 1; }),
                HasSubstr("task: " + std::string(part) + ": unknown key typo"));
  }
  EXPECT_THAT(Refusal([](Json& task) { task["prompts"]["default"]["typo"] = 1; }),
              HasSubstr("task: prompts: default: unknown key typo"));
}

TEST(Task, NamesWhatWasFoundAndWhatWasExpected) {
  const std::vector<std::pair<std::function<void(Json&)>, std::string>> cases = {
      {[](Json& task) { task["schema"] = 2; }, "task: schema is 2, expected 1"},
      {[](Json& task) { task["name"] = "A b"; }, "task: name is \"A b\", expected 1 to 64 of"},
      {[](Json& task) { task.erase("version"); }, "task: version is missing, expected a string"},
      {[](Json& task) { task["data"]["format"] = "xml"; },
       "task: data: format is \"xml\", expected jsonl, json, vqa"},
      {[](Json& task) { task["data"]["files"] = Json::array(); }, "expected at least one file"},
      {[](Json& task) { task["data"]["files"] = "../a"; }, "expected paths within the data folder"},
      {[](Json& task) {
         task["data"]["sha256"] = {{"a.jsonl", "12"}};
       },
       "expected 64 hexadecimal digits for some of the files"},
      {[](Json& task) {
         task["data"]["sha256"] = {{"b.jsonl", std::string(64, '0')}};
       },
       "expected 64 hexadecimal digits for some of the files"},
      {[](Json& task) { task["data"]["format"] = "vqa"; },
       "annotations is missing, expected one per"},
      {[](Json& task) {
         task["images"] = {{"form", "path"}};
       },
       "column is missing, expected a column"},
      {[](Json& task) { task["scorer"] = "vqa"; },
       "expected names that binocle eval scorers lists"},
      {[](Json& task) { task["judge"] = "x"; }, "expected a scorer's name, or else judge"},
      {[](Json& task) { task["scorer"] = "mmmu_mc"; },
       "columns: options is missing, expected a column: scorer mmmu_mc needs it"},
      {[](Json& task) { task["prompts"]["default"]["text"] = "{hint}"; },
       "task: prompts: default: text asks for {hint}, expected question, options"},
      {[](Json& task) { task["prompts"]["default"]["text"] = "a {question"; },
       "text: character 3 is {, expected a } after it"},
      {[](Json& task) {
         task["prompts"] = {{"other", task["prompts"]["default"]}};
       },
       "task: prompts: default is missing"},
      {[](Json& task) { task["generation"]["max_new_tokens"] = 0; },
       "task: generation: max_new_tokens is 0, expected an integer from 1"},
      {[](Json& task) {
         task["constraint"] = {{"option_letters", true}};
       },
       "expected columns: options beside it"}};
  for (const auto& [change, expected] : cases) EXPECT_THAT(Refusal(change), HasSubstr(expected));
}

TEST(Task, NamesTheLineOfASyntaxError) {
  EXPECT_THAT(ErrorOf([] { ParseTask("{\n  \"schema\": 1,\n  oops\n}", "mine.json"); }),
              HasSubstr("mine.json: not valid JSON: "));
  EXPECT_THAT(ErrorOf([] { ParseTask("{\n  \"schema\": 1,\n  oops\n}", "mine.json"); }),
              HasSubstr("line 3"));
  EXPECT_THAT(ErrorOf([] { ParseTask(R"({"schema": 1, "schema": 1})", "mine.json"); }),
              HasSubstr("schema is given twice"));
}

TEST(Task, HasTheNameOfItsFile) {
  DataFolder folder;
  folder.Write("other.json", Valid().dump());
  EXPECT_THAT(ErrorOf([&] { ReadTasks(folder.path()); }),
              HasSubstr("name is mine, expected the file's name, other"));
}

std::string Rendered(std::string_view text, const std::string& value) {
  return Template(text).Render([&](const std::string&) { return value; });
}

TEST(Template, FillsFields) {
  EXPECT_EQ(Rendered("{a}, {a|strip}.", " wHO "), " wHO , wHO.");
  EXPECT_EQ(Rendered("COCO_{image_id:012}.jpg", "42"), "COCO_000000000042.jpg");
  EXPECT_EQ(Rendered("{a|capitalize}", "wHO is"), "Who is");
  EXPECT_EQ(Rendered("{{a}}", "x"), "{a}");
  EXPECT_THAT(Template("{a}{b}{a}").names(), ElementsAre("a", "b"));
}

TEST(Template, LeavesOutGroupsWithoutText) {
  EXPECT_EQ(Rendered("[[Context: {hint}\n]]Q", ""), "Q");
  EXPECT_EQ(Rendered("[[Context: {hint}\n]]Q", "h"), "Context: h\nQ");
  EXPECT_EQ(Rendered("[[always ]]Q", ""), "always Q");
}

TEST(Template, RefusesWhatItDoesNotKnow) {
  for (const char* text :
       {"{", "}", "{}", "{a|upper}", "{a:12}", "{a:0}", "[[a", "a]]", "[[a[[b]]"})
    EXPECT_THAT(ErrorOf([&] { Template{text}; }), HasSubstr("character ")) << text;
}

}  // namespace
}  // namespace binocle::eval
