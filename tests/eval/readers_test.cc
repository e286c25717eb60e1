// Rows of every format, and what is said about rows that are damaged: the good ones around them still come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "eval/readers/readers.h"
#include "eval/readers/values.h"
#include "tests/eval/data_folder.h"
#include "tests/testing/errors.h"

namespace binocle::eval {
namespace {

using ::binocle::testing::ErrorOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(Jsonl, GivesLinesWithTheirPlacesWhateverTheirEnds) {
  DataFolder folder;
  folder.Write("a.jsonl",
               "\xEF\xBB\xBF{\"q\": \"one\"}\r\n\n  \n{\"q\": \"two\"}\n{\"q\": \"three\"}");
  Problems problems;
  const auto rows = AllRows({.files = {"a.jsonl"}}, folder, problems);
  EXPECT_THAT(Column(rows, "q"), ElementsAre("one", "two", "three"));
  EXPECT_EQ(rows[1].place, "a.jsonl:4");
  EXPECT_EQ(rows[1].fields["_file"], "a");
  EXPECT_EQ(rows[1].fields["_row"], 3);
  EXPECT_EQ(problems.count(), 0);
}

TEST(Jsonl, ReportsDamagedLinesAndGoesOn) {
  DataFolder folder;
  folder.Write(
      "a.jsonl",
      "{\"q\": 1}\n{\"q\": \n[1]\n{\"q\": \"\xE9t\xE9\"}\n{\"q\": 1, \"q\": 2}\n{\"q\": 6}\n");
  Problems problems;
  EXPECT_THAT(Column(AllRows({.files = {"a.jsonl"}}, folder, problems), "q"),
              ElementsAre("1", "6"));
  EXPECT_THAT(Messages(problems),
              ElementsAre("a.jsonl:2: not valid JSON: it ends too early",
                          "a.jsonl:3: is a JSON array, expected an object",
                          "a.jsonl:4: is not UTF-8", "a.jsonl:5: q is given twice"));
  EXPECT_EQ(problems.Summary().dump(), R"({"skipped":4,"syntax":3,"encoding":1})");
}

TEST(Jsonl, TellsANulByteWhichParsersTakeForTheEnd) {
  DataFolder folder;
  Problems problems;
  const std::string nul(1, '\0');
  folder.Write("a.jsonl", "{\"q\": 1}\n{\"q\": 2}" + nul + "{\"q\": 3}\n{\"q\": 4}\n");
  EXPECT_THAT(
      Column(AllRows({.format = DataFormat::kJsonl, .files = {"a.jsonl"}}, folder, problems), "q"),
      ElementsAre("1", "4"));
  EXPECT_THAT(Messages(problems), ElementsAre("a.jsonl:2: not valid JSON: has a NUL byte"));
}

TEST(Jsonl, RefusesALineOf100MegabytesWithoutReadingIt) {
  DataFolder folder;
  folder.Write("a.jsonl", "{\"q\": 1}\n");
  const auto path = folder.path() / "a.jsonl";
  std::filesystem::resize_file(path, 100'000'000);  // zeros that take no room
  std::ofstream(path, std::ios::app) << "\n{\"q\": 3}\n";
  Problems problems;
  EXPECT_THAT(Column(AllRows({.files = {"a.jsonl"}}, folder, problems), "q"),
              ElementsAre("1", "3"));
  EXPECT_THAT(Messages(problems),
              ElementsAre("a.jsonl:2: has 99999991 bytes, expected at most 67108864"));
  EXPECT_EQ(problems.count(Damage::kTooLong), 1);
}

TEST(Readers, RefuseWholeFilesThatAreNotText) {
  DataFolder folder;
  folder.Write("a.jsonl", std::string_view("\xFF\xFE{\0\"\0", 6));
  Problems problems;
  EXPECT_THAT(ErrorOf([&] { AllRows({.files = {"a.jsonl"}}, folder, problems); }),
              HasSubstr("a.jsonl: is UTF-16 or UTF-32, expected UTF-8"));
  EXPECT_THAT(ErrorOf([&] { AllRows({.files = {"b.jsonl"}}, folder, problems); }),
              HasSubstr("b.jsonl: no such file"));
}

TEST(Readers, SayHowParquetIsConverted) {
  DataFolder folder;
  Problems problems;
  EXPECT_THAT(ErrorOf([&] {
                AllRows({.format = DataFormat::kParquet, .files = {"a.parquet"}}, folder, problems);
              }),
              ::testing::AllOf(StartsWith("UNIMPLEMENTED: a.parquet: "),
                               HasSubstr("tools/eval/parquet_to_jsonl.py")));
}

TEST(Readers, GoThroughSeveralFilesInOrder) {
  DataFolder folder;
  folder.Write("b.jsonl", "{\"q\": 1}\n");
  folder.Write("a.jsonl", "{\"q\": 2}\n");
  Problems problems;
  const auto rows = AllRows({.files = {"b.jsonl", "a.jsonl"}}, folder, problems);
  EXPECT_THAT(Column(rows, "_file"), ElementsAre("b", "a"));
}

const DataFiles kTsv = {.format = DataFormat::kTsv, .files = {"a.tsv"}};

TEST(Tsv, ReadsQuotedCellsOverSeveralLines) {
  DataFolder folder;
  folder.Write(
      "a.tsv",
      "index\tquestion\r\n1\t\"one\t\"\"quoted\"\"\nand more\"\r\n2\tplain \"inside\"\r\n3\t");
  Problems problems;
  const auto rows = AllRows(kTsv, folder, problems);
  EXPECT_THAT(Column(rows, "question"),
              ElementsAre("one\t\"quoted\"\nand more", "plain \"inside\"", ""));
  EXPECT_EQ(rows[1].place, "a.tsv:4");
  EXPECT_EQ(problems.count(), 0);
}

TEST(Tsv, ReportsDamagedRowsAndGoesOn) {
  DataFolder folder;
  folder.Write("a.tsv",
               "index\tquestion\n1\tone\n2\n3\tthree\tmore\n4\t\"not closed\n5\tfive\n6\t\xFF\n7\t"
               "\"a\"b\n8\teight\n");
  Problems problems;
  EXPECT_THAT(Column(AllRows(kTsv, folder, problems), "index"), ElementsAre("1", "5", "8"));
  EXPECT_THAT(Messages(problems),
              ElementsAre("a.tsv:3: has 1 cells, expected 2", "a.tsv:4: has 3 cells, expected 2",
                          "a.tsv:5: a cell in quotes does not end as one", "a.tsv:7: is not UTF-8",
                          "a.tsv:8: a cell in quotes does not end as one"));
}

TEST(Tsv, RefusesRowsThatAreTooLong) {
  DataFolder folder;
  const std::string longer(200, 'x');
  folder.Write("a.tsv", "index\tquestion\n1\t" + longer + "\n2\t\"" + longer + "\"\n3\tshort\n");
  Problems problems;
  EXPECT_THAT(Column(AllRows(kTsv, folder, problems, {.row_bytes = 100}), "index"),
              ElementsAre("3"));
  EXPECT_THAT(Messages(problems),
              ElementsAre(StartsWith("a.tsv:2: has 202 bytes"), StartsWith("a.tsv:3: has ")));
}

TEST(Tsv, RefusesLinesThatEndWithCarriageReturnsAlone) {
  DataFolder folder;
  folder.Write("a.tsv", "index\tquestion\r1\tone\r2\ttwo\r");
  Problems problems;
  EXPECT_THAT(ErrorOf([&] { AllRows(kTsv, folder, problems); }),
              HasSubstr("a.tsv: its lines end with CR alone, expected LF or CR LF"));
}

TEST(Tsv, RefusesAHeadThatNamesAColumnTwice) {
  DataFolder folder;
  folder.Write("a.tsv", "index\tindex\n1\t2\n");
  Problems problems;
  EXPECT_THAT(ErrorOf([&] { AllRows(kTsv, folder, problems); }),
              HasSubstr("column index is there twice"));
}

TEST(Csv, ReadsCommas) {
  DataFolder folder;
  folder.Write("a.csv", "Index,Options\n1,\"(a) one, two (b) three\"\n");
  Problems problems;
  const auto rows = AllRows({.format = DataFormat::kCsv, .files = {"a.csv"}}, folder, problems);
  EXPECT_THAT(Column(rows, "Options"), ElementsAre("(a) one, two (b) three"));
}

TEST(VlmevalTsv, FindsThePictureOfAnotherRow) {
  DataFolder folder;
  const std::string picture(100, 'A');
  folder.Write("a.tsv", "index\timage\tquestion\n5\t7\tlater\n7\t" + picture +
                            "\tfirst\n1000007\t7\tturned\n8\t99\tnowhere\n");
  Problems problems;
  const auto rows =
      AllRows({.format = DataFormat::kVlmevalTsv, .files = {"a.tsv"}}, folder, problems);
  EXPECT_THAT(Column(rows, "question"), ElementsAre("later", "first", "turned"));
  EXPECT_THAT(Column(rows, "image"), ElementsAre(picture, picture, picture));
  EXPECT_THAT(Messages(problems),
              ElementsAre("a.tsv:5: image is 99, the index of no row with a picture"));
  EXPECT_EQ(problems.count(Damage::kImage), 1);
}

const DataFiles kMme = {.format = DataFormat::kMme, .files = {"mme"}};

TEST(MmeFolders, PairTextsWithPicturesInBothLayouts) {
  DataFolder folder;
  folder.Write("mme/count/0001.jpg", "x");
  folder.Write("mme/count/0001.txt", "Is there one?\tYes\r\nAre there two?\tNo\r\n");
  folder.Write("mme/posters/images/tt1.png", "x");
  folder.Write("mme/posters/questions_answers_YN/tt1.txt", "Is it old?\tNo\n\nno tab here\n");
  Problems problems;
  const auto rows = AllRows(kMme, folder, problems);
  EXPECT_THAT(Column(rows, "answer"), ElementsAre("Yes", "No", "No"));
  EXPECT_THAT(Column(rows, "image"),
              ElementsAre("count/0001.jpg", "count/0001.jpg", "posters/images/tt1.png"));
  EXPECT_THAT(Column(rows, "_key"), ElementsAre("count/0001/1", "count/0001/2", "posters/tt1/1"));
  EXPECT_EQ(rows[2].fields["group"], "tt1");
  EXPECT_THAT(
      Messages(problems),
      ElementsAre("posters/questions_answers_YN/tt1.txt:3: has no tab, expected a question, "
                  "a tab, an answer"));
}

TEST(MmeFolders, TellWhatIsEmpty) {
  DataFolder folder;
  Problems problems;
  folder.Write("mme/count/0001.txt", "Is there one?\tYes\n");
  folder.Write("mme/count/0002.txt", "\n");
  folder.Write("mme/scene/0001.jpg", "x");
  EXPECT_EQ(AllRows(kMme, folder, problems).size(), 1u);
  EXPECT_THAT(Messages(problems), ElementsAre("scene: has no texts, expected one for each picture",
                                              "count/0002.txt: is empty, expected two questions"));
}

TEST(MmeFolders, RefusesAFolderWithoutTexts) {
  DataFolder folder;
  Problems problems;
  EXPECT_THAT(ErrorOf([&] { AllRows(kMme, folder, problems); }), StartsWith("NOT_FOUND: "));
  folder.Write("mme/count/0001.jpg", "x");
  EXPECT_THAT(ErrorOf([&] { AllRows(kMme, folder, problems); }), HasSubstr("has no texts"));
}

// Whatever is changed in a file, a row or a problem comes out of it, or an Error.
TEST(Readers, SurviveRandomDamage) {
  const std::vector<std::pair<DataFiles, std::string>> files = {
      {{.files = {"d"}}, "{\"a\": 1}\n{\"a\": \"x\"}\r\n"},
      {{.format = DataFormat::kJson, .files = {"d"}},
       "[{\"a\": [1, \"]\"]},\n{\"a\": {\"b\": 2}}]"},
      {{.format = DataFormat::kJson, .files = {"d"}, .records = "r"},
       "{\"x\": [], \"r\": {\"k\": {\"a\": 1}, \"l\": {\"a\": 2}}}"},
      {{.format = DataFormat::kVqa, .files = {"d"}, .annotations = {"d"}},
       "{\"questions\": [{\"question_id\": 1}], \"annotations\": [{\"question_id\": 1}]}"},
      {{.format = DataFormat::kVlmevalTsv, .files = {"d"}},
       "index\timage\ta\n1\t" + std::string(70, 'A') + "\t\"x\n\"\"\"\n2\t1\ty\n"},
      {{.format = DataFormat::kCsv, .files = {"d"}}, "a,b\r\n\"1,\",2\r\n3,4"}};
  DataFolder folder;
  std::mt19937 random(1);
  const std::string marks("\"\\\n\r\t,[]{}:\xFF\0", 13);
  for (const auto& [data, text] : files) {
    for (int round = 0; round < 200; ++round) {
      std::string damaged = text;
      for (int change = 0; change < 1 + round % 4; ++change)
        damaged[random() % damaged.size()] = marks[random() % marks.size()];
      if (round % 3 == 0) damaged.resize(random() % damaged.size());
      folder.Write("d", damaged);
      Problems problems;
      std::vector<Row> rows;
      ErrorOf([&] { rows = AllRows(data, folder, problems); });
      for (const Row& row : rows) {
        EXPECT_TRUE(row.fields.is_object());
        EXPECT_THAT(row.place, StartsWith("d:"));
      }
    }
  }
}

TEST(Values, ReadsListsAsJsonAndPythonWriteThem) {
  EXPECT_THAT(TextsOf("['a', \"it's\", 'b\\'c']", "x"), ElementsAre("a", "it's", "b'c"));
  EXPECT_THAT(TextsOf(R"(["a", "b"])", "x"), ElementsAre("a", "b"));
  EXPECT_THAT(TextsOf("[]", "x"), IsEmpty());
  EXPECT_THAT(TextsOf("[not a list", "x"), ElementsAre("[not a list"));
  EXPECT_THAT(TextsOf(Json{{{"answer", "a"}}, {{"answer", "b"}}}, "x"), ElementsAre("a", "b"));
  EXPECT_THAT(ErrorOf([] { TextsOf(Json::object(), "x"); }),
              HasSubstr("x is {}, expected a text or a list of texts"));
}

// ast.literal_eval's readings; texts in R"()" are what is in the file.
TEST(Values, ReadsEscapesAsPythonDoes) {
  EXPECT_THAT(TextsOf(R"(['yes', "it's\xa0no", 'a\u200bb'])", "x"),
              ElementsAre("yes", "it's\u00a0no", "a\u200bb"));
  EXPECT_THAT(TextsOf(R"(['\U0001f600', '\r\n\t\\', '\a\b\f\v'])", "x"),
              ElementsAre("\U0001f600", "\r\n\t\\", "\a\b\f\v"));
  EXPECT_THAT(TextsOf(R"(['\101\60', '\0', '\7x', '\1012'])", "x"),
              ElementsAre("A0", std::string(1, '\0'), "\ax", "A2"));
  EXPECT_THAT(TextsOf(R"(['\d\%', 'a\
b'])",
                      "x"),
              ElementsAre(R"(\d\%)", "ab"));
  EXPECT_THAT(TextsOf(R"(['a' , ])", "x"), ElementsAre("a"));
  for (const char* none : {R"(['\xa'])", R"(['\ud800'])", R"(['\U00110000'])", R"(['\N{DASH}'])",
                           R"(['a' 1])", R"(['a]'"])", R"(['a\'])"})
    EXPECT_THAT(TextsOf(none, "x"), ElementsAre(none));
}

TEST(Values, FindsColumnsWithinColumns) {
  const Json row = {{"types", {{"structural", "verify"}}}, {"a.b", 1}};
  EXPECT_EQ(*FindColumn(row, "types.structural"), "verify");
  EXPECT_EQ(*FindColumn(row, "a.b"), 1);
  EXPECT_EQ(FindColumn(row, "types.semantic"), nullptr);
}

TEST(Values, DecodesBase64) {
  EXPECT_EQ(DecodeBase64("aGVsbG8="), "hello");
  EXPECT_EQ(DecodeBase64("aGVs\nbG8"), "hello");
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_THAT(ErrorOf([] { DecodeBase64("aGV%bG8="); }),
              HasSubstr("is no base64: % at character 4"));
  EXPECT_THAT(ErrorOf([] { DecodeBase64("aGVsb"); }), HasSubstr("half a byte"));
}

}  // namespace
}  // namespace binocle::eval
