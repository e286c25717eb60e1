// Samples of whole tasks: what a model is asked, and the line that a scorer gets.
#include "eval/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "binocle/eval.h"
#include "tests/eval/data_folder.h"
#include "tests/testing/errors.h"

namespace binocle::eval {
namespace {

using ::binocle::testing::ErrorOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPicture = "iVBORw0KGgo=";  // the eight bytes that begin a PNG
constexpr const char* kPictureBytes = "\x89PNG\r\n\x1A\n";

Task Ours(const std::string& name) {
  return ReadTask(std::filesystem::path(BINOCLE_TASKS) / (name + ".json"));
}

struct Read {
  std::vector<Sample> samples;
  std::vector<std::string> problems;
  OrderedJson summary;
  int64_t left_out = 0;
};

Read ReadAll(const Task& task, const DataFolder& folder) {
  SampleReader reader(task, folder.path());
  Read read;
  while (auto sample = reader.Next()) read.samples.push_back(std::move(*sample));
  read.problems = Messages(reader.problems());
  read.summary = reader.problems().Summary();
  read.left_out = reader.left_out();
  return read;
}

double Score(const Task& task, const Sample& sample, const std::string& prediction) {
  const std::string line =
      Scoring(ScorerOf(task, sample)).Score(AnswerLine(sample, prediction).dump());
  return Json::parse(line)["score"];
}

// A lines-of-JSON task with pictures of the given kind.
Task Simple(const std::string& images) {
  return ParseTask(R"({"schema": 1, "name": "mine", "version": "1", "description": "",
    "data": {"format": "jsonl", "files": ["a.jsonl"], "how_to_get": "write it"},
    "columns": {"id": "id", "question": "q", "answer": "a"}, "images": )" +
                       images + R"(,
    "prompts": {"default": {"text": "{question}", "source": "ours"}}, "scorer": "exact_match",
    "generation": {"max_new_tokens": 8}})",
                   "mine.json");
}

TEST(Samples, AreReportedWhereARowIsDamaged) {
  DataFolder folder;
  folder.Write("a.png", "x");
  folder.Write("empty.png", "");
  folder.Write("a.jsonl", R"({"id": 1, "q": "Q", "a": "A", "image": "a.png"}
{"id": 2, "q": "Q", "a": "A", "image": "gone.png"}
{"id": 1, "q": "Q", "a": "A", "image": "a.png"}
{"id": 4, "question": "Q", "a": "A", "image": "a.png"}
{"id": 5, "q": ["Q"], "a": "A", "image": "a.png"}
{"id": 6, "q": "Q", "a": "A"}
{"id": 7, "q": "Q", "a": "A", "image": "../a.png"}
{"id": 8, "q": "Q", "a": "A", "image": "empty.png"}
{"id": 9, "q": "Q", "a": "A", "image": {"path": "a.png", "bytes": null}}
)");
  const Read read = ReadAll(Simple(R"({"form": "path", "column": "image"})"), folder);
  ASSERT_EQ(read.samples.size(), 2u);
  EXPECT_EQ(read.samples[1].id, "9");
  EXPECT_EQ(ImageKey(read.samples[0]), ImageKey(read.samples[1]));
  EXPECT_THAT(read.problems,
              ElementsAre("a.jsonl:2: picture gone.png is not there",
                          "a.jsonl:3: id 1 is that of an earlier row", "a.jsonl:4: has no column q",
                          "a.jsonl:5: q is [\"Q\"], expected a text or a number",
                          "a.jsonl:6: has no column image",
                          "a.jsonl:7: picture ../a.png leads out of the data folder",
                          "a.jsonl:8: picture empty.png is empty"));
  EXPECT_EQ(read.summary.dump(), R"({"skipped":7,"column":2,"duplicate id":1,"image":4})");
}

TEST(Samples, HavePicturesAsBase64InEveryForm) {
  DataFolder folder;
  const std::string picture = kPicture;
  const auto line = [&](const std::string& id, const std::string& image) {
    return R"({"q": "Q", "a": "A", "id": )" + id + R"(, "image": )" + image + "}\n";
  };
  folder.Write("a.jsonl", line("1", '"' + picture + '"') +
                              line("2", "\"data:image/png;base64," + picture + '"') +
                              line("3", "{\"bytes\": \"" + picture + "\", \"path\": null}") +
                              line("4", "[\"" + picture + "\", \"" + picture + "\"]") +
                              line("5", "\"['" + picture + "']\"") + line("6", "\"iVB*\"") +
                              line("7", "null") + line("8", "{\"path\": \"a.png\"}"));
  const Read read = ReadAll(Simple(R"({"form": "base64", "column": "image"})"), folder);
  ASSERT_EQ(read.samples.size(), 5u);
  for (const Sample& sample : read.samples) EXPECT_EQ(sample.images[0].bytes, kPictureBytes);
  EXPECT_EQ(read.samples[3].images.size(), 2u);
  EXPECT_EQ(ImageKey(read.samples[0]), ImageKey(read.samples[4]));
  EXPECT_NE(ImageKey(read.samples[0]), ImageKey(read.samples[3]));
  EXPECT_THAT(read.problems,
              ElementsAre("a.jsonl:6: column image is no base64: * at character 4",
                          "a.jsonl:7: has no picture",
                          HasSubstr("a.jsonl:8: column image holds no picture, expected base64")));
}

TEST(Samples, HaveSeveralPicturesAsPathsInVlmevalkitsTables) {
  DataFolder folder;
  folder.Write("img/a.png", "x");
  folder.Write("img/b.png", "x");
  folder.Write("a.tsv",
               "index\tquestion\tanswer\timage_path\n1\tQ\tA\t['a.png', 'b.png']\n"
               "2\tQ\tA\tb.png\n3\tQ\tA\t['a.png', 'c.png']\n");
  const Task task = ParseTask(R"({"schema": 1, "name": "mine", "version": "1", "description": "",
    "data": {"format": "vlmeval_tsv", "files": ["a.tsv"], "how_to_get": "write it"},
    "columns": {"id": "index", "question": "question", "answer": "answer"},
    "images": {"form": "path", "column": "image_path", "folder": "img"},
    "prompts": {"default": {"text": "{question}", "source": "ours"}}, "scorer": "exact_match",
    "generation": {"max_new_tokens": 8}})",
                              "mine.json");
  const Read read = ReadAll(task, folder);
  ASSERT_EQ(read.samples.size(), 2u);
  EXPECT_EQ(read.samples[0].images.size(), 2u);
  EXPECT_THAT(read.problems, ElementsAre("a.tsv:4: picture img/c.png is not there"));
}

TEST(Samples, SayHowToGetTheDataThatIsNotThere) {
  DataFolder folder;
  EXPECT_THAT(ErrorOf([&] { ReadAll(Simple(R"({"form": "path", "column": "image"})"), folder); }),
              HasSubstr("a.jsonl: no such file; how to get the data of mine: write it"));
}

TEST(TaskSamples, OfVqaV2) {
  DataFolder folder;
  folder.Write(
      "v2_OpenEnded_mscoco_val2014_questions.json",
      R"({"questions": [{"image_id": 42, "question": "What colour?", "question_id": 42000}]})");
  folder.Write(
      "v2_mscoco_val2014_annotations.json",
      R"({"annotations": [{"question_id": 42000, "question_type": "what", "answer_type": "other",
                   "answers": [{"answer": "red"}, {"answer": "red"}, {"answer": "blue"}]}]})");
  folder.Write("val2014/COCO_val2014_000000000042.jpg", "x");
  const Task task = Ours("vqav2");
  const Read read = ReadAll(task, folder);
  ASSERT_THAT(read.problems, IsEmpty());
  const Sample& sample = read.samples.at(0);
  EXPECT_EQ(RenderPrompt(task, sample, "default"),
            "What colour?\nAnswer the question using a single word or phrase.");
  EXPECT_EQ(sample.answer_type, "other");
  EXPECT_GT(Score(task, sample, "red"), 0);
}

TEST(TaskSamples, OfScienceQa) {
  DataFolder folder;
  folder.Write("problems.json", R"({
    "3": {"question": "Which?", "choices": ["one", "two"], "answer": 1, "hint": "Look.",
          "image": "image.png", "split": "test", "subject": "natural science", "topic": "physics"},
    "4": {"question": "Which?", "choices": ["one", "two"], "answer": 0, "hint": "", "image": null, "split": "test"},
    "5": {"question": "Which?", "choices": ["one", "two"], "answer": 2, "hint": "", "image": null, "split": "test"},
    "6": {"question": "Which?", "choices": ["one", "two"], "answer": 1, "split": "train"}})");
  folder.Write("test/3/image.png", "x");
  const Task task = Ours("scienceqa");
  const Read read = ReadAll(task, folder);
  ASSERT_EQ(read.samples.size(), 2u);
  EXPECT_EQ(read.left_out, 1);
  EXPECT_EQ(
      RenderPrompt(task, read.samples[0], "default"),
      "Context: Look.\nWhich?\nA. one\nB. two\nAnswer with the option's letter from the given "
      "choices directly.");
  EXPECT_THAT(RenderPrompt(task, read.samples[1], "default"), HasSubstr("Which?\nA. one"));
  EXPECT_EQ(Score(task, read.samples[0], "B."), 1);
  EXPECT_THAT(read.samples[1].images, IsEmpty());
  EXPECT_THAT(read.problems,
              ElementsAre("problems.json:5: record 3: column answer is 2, expected one "
                          "of 2 options"));
}

TEST(TaskSamples, OfMmbench) {
  DataFolder folder;
  const std::string picture = "iVBORw0KGgo" + std::string(101, 'A');
  folder.Write("MMBench_DEV_EN.tsv",
               "index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\n"
               "7\tWhich?\t\tone\ttwo\t\t\tB\tlogic\t" +
                   picture +
                   "\n"
                   "1000007\tWhich?\tLook.\ttwo\tone\t\t\tA\tlogic\t7\n"
                   "8\tWhich?\t\tone\t\tthree\t\tA\tlogic\t7\n"
                   "9\tWhich?\t\tone\ttwo\t\t\tC\tlogic\t7\n");
  const Task task = Ours("mmbench");
  const Read read = ReadAll(task, folder);
  ASSERT_EQ(read.samples.size(), 2u);
  EXPECT_EQ(read.samples[0].group, read.samples[1].group);
  EXPECT_EQ(ImageKey(read.samples[0]), ImageKey(read.samples[1]));
  EXPECT_EQ(RenderPrompt(task, read.samples[1], "default"),
            "Look. Which? There are several options:\nA. two\nB. one\n\nAnswer with the option's "
            "letter from the given choices directly.");
  EXPECT_EQ(Score(task, read.samples[0], "B"), 1);
  EXPECT_THAT(read.problems,
              ElementsAre("MMBench_DEV_EN.tsv:4: column C has an option after one that is empty",
                          "MMBench_DEV_EN.tsv:5: column answer is C, expected one of 2 options"));
}

TEST(TaskSamples, OfMmmu) {
  DataFolder folder;
  const std::string image =
      R"("image_1": {"bytes": ")" + std::string(kPicture) + R"("}, "image_2": null)";
  folder.Write(
      "mmmu_val.jsonl",
      R"({"id": "a_1", "question": "<image 1> Which?", "options": "['one', \"it's\"]",)"
      R"( "answer": "B", "question_type": "multiple-choice", )" +
          image + "}\n" +
          R"({"id": "a_2", "question": "How many?", "options": "[]", "answer": "['4', 'four']",)"
          R"( "question_type": "open", )" +
          image + "}\n");
  const Task task = Ours("mmmu");
  const Read read = ReadAll(task, folder);
  ASSERT_THAT(read.problems, IsEmpty());
  EXPECT_THAT(RenderPrompt(task, read.samples[0], "default"),
              HasSubstr("A. one\nB. it's\n\nAnswer with"));
  EXPECT_EQ(RenderPrompt(task, read.samples[1], "default"),
            "How many?\n\nAnswer the question using a single word or phrase.");
  EXPECT_EQ(ScorerOf(task, read.samples[1]), "mmmu_open");
  EXPECT_EQ(Score(task, read.samples[0], "(B)"), 1);
  EXPECT_EQ(Score(task, read.samples[1], "four"), 1);
}

TEST(TaskSamples, OfMmeAndMmvpAreGrouped) {
  DataFolder folder;
  folder.Write("MME_Benchmark_release_version/count/1.jpg", "x");
  folder.Write("MME_Benchmark_release_version/count/1.txt",
               "One? Please answer yes or no.\tYes\nTwo? Please answer yes or no.\tNo\n");
  const Task mme = Ours("mme");
  Read read = ReadAll(mme, folder);
  ASSERT_EQ(read.samples.size(), 2u);
  EXPECT_EQ(read.samples[0].group, read.samples[1].group);
  EXPECT_EQ(RenderPrompt(mme, read.samples[0], "default"), "One? Please answer yes or no.");
  EXPECT_EQ(Score(mme, read.samples[1], "No"), 1);

  folder.Write(
      "Questions.csv",
      "\xEF\xBB\xBFIndex,Question,Options,Correct Answer\n1,Open?,(a) Open (b) Closed,(a)\n"
      "2,Open?,(a) Open (b) Closed,(b)\n3,Up?,(a) Up (b) Down,(a)\n");
  for (const char* name : {"1", "2", "3"})
    folder.Write("MMVP Images/" + std::string(name) + ".jpg", "x");
  const Task mmvp = Ours("mmvp");
  read = ReadAll(mmvp, folder);
  ASSERT_EQ(read.samples.size(), 3u);
  EXPECT_EQ(read.samples[0].group, read.samples[1].group);
  EXPECT_NE(read.samples[1].group, read.samples[2].group);
  EXPECT_THAT(read.samples[0].options, ElementsAre("Open", "Closed"));
  EXPECT_EQ(Score(mmvp, read.samples[1], "B"), 1);
}

TEST(TaskSamples, OfTheOthers) {
  DataFolder folder;
  folder.Write(
      "TextVQA_0.5.1_val.json",
      R"({"data": [{"question": "what IS it?", "image_id": "ab", "question_id": 1, "answers": ["x", "x"]}]})");
  folder.Write("train_images/ab.jpg", "x");
  folder.Write(
      "testdev_balanced_questions.json",
      R"({"20": {"imageId": "n1", "question": "Is it?", "answer": "yes", "types": {"structural": "verify"}}})");
  folder.Write("images/n1.jpg", "x");
  folder.Write(
      "val_v1.0_withQT.json",
      R"({"data": [{"questionId": 5, "question": "Date?", "image": "documents/d.png", "answers": ["May"]}]})");
  folder.Write("documents/d.png", "x");
  folder.Write("test/test_human.json",
               R"([{"imgname": "c.png", "query": "Most?", "label": "12"}])");
  folder.Write("test/test_augmented.json",
               R"([{"imgname": "c.png", "query": "Most?", "label": "12"}])");
  folder.Write("test/png/c.png", "x");
  folder.Write("coco_pope_random.json",
               R"({"question_id": 1, "image": "a.jpg", "text": "Is there a cat?", "label": "no"})");
  folder.Write("val2014/a.jpg", "x");
  folder.Write(
      "SEED-Bench.json",
      R"({"questions": [{"question_id": "1", "data_id": "s", "data_type": "image", "question_type_id": 3,
                   "question": "Who?", "choice_a": "a", "choice_b": "b", "choice_c": "c", "choice_d": "d", "answer": "C"},
                  {"question_id": "2", "data_type": "video"}]})");
  folder.Write("SEED-Bench-image/s", "x");
  folder.Write("val.json", R"([{"image": "v.jpg", "question": "what?", "answer_type": "other",
                               "answers": [{"answer": "x", "answer_confidence": "yes"}]}])");
  folder.Write("val/v.jpg", "x");
  folder.Write("chair_coco.jsonl",
               R"({"id": 1, "image": "a.jpg", "objects": ["cat"], "references": ["A cat."]})");
  folder.Write(
      "questions.jsonl",
      R"({"id": "0-1", "image": "s.png", "prompt": "Is there a sun?", "answer": "yes", "kind": "exist"})");
  folder.Write("s.png", "x");
  const std::vector<std::pair<std::string, std::string>> answers = {
      {"textvqa", "x"},      {"gqa", "yes"},      {"docvqa", "May"},        {"chartqa", "12"},
      {"pope_random", "no"}, {"seed_bench", "C"}, {"chair_coco", "A cat."}, {"scenes", "yes"}};
  for (const auto& [name, answer] : answers) {
    const Task task = Ours(name);
    const Read read = ReadAll(task, folder);
    EXPECT_THAT(read.problems, IsEmpty()) << name;
    ASSERT_FALSE(read.samples.empty()) << name;
    EXPECT_GT(Score(task, read.samples[0], answer), 0) << name;
  }
  EXPECT_EQ(ReadAll(Ours("vizwiz"), folder).samples.size(), 1u);
  EXPECT_EQ(ReadAll(Ours("chartqa"), folder).samples.at(1).id, "test_augmented-0");
  EXPECT_THAT(RenderPrompt(Ours("textvqa"), ReadAll(Ours("textvqa"), folder).samples[0], "default"),
              HasSubstr("What is it?\n"));
}

}  // namespace
}  // namespace binocle::eval
