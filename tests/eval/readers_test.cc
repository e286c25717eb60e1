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

std::vector<std::string> Column(const std::vector<Row>& rows, const std::string& column) {
  std::vector<std::string> texts;
  for (const Row& row : rows) texts.push_back(TextOf(row.fields.at(column), column));
  return texts;
}

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

const DataFiles kJson = {.format = DataFormat::kJson, .files = {"a.json"}};
const DataFiles kJsonData = {.format = DataFormat::kJson, .files = {"a.json"}, .records = "data"};

TEST(JsonFile, IsAListAnObjectOrAListWithinAnObject) {
  DataFolder folder;
  Problems problems;
  folder.Write("a.json", " [ {\"q\": \"a, ]\"} ,\n{\"q\": {\"x\": [1]}, \"r\": \"\\\"}\"}]");
  const auto list = AllRows(kJson, folder, problems);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].fields["q"], "a, ]");
  EXPECT_EQ(list[1].fields["r"], "\"}");
  EXPECT_EQ(list[1].place, "a.json:2: record 2");
  folder.Write("a.json", "{\"7\": {\"q\": 1}, \"8\": {\"q\": 2}}");
  EXPECT_THAT(Column(AllRows(kJson, folder, problems), "_key"), ElementsAre("7", "8"));
  folder.Write("a.json", "{\"info\": {\"data\": []}, \"data\": [{\"q\": 1}], \"more\": 2}");
  EXPECT_THAT(Column(AllRows(kJsonData, folder, problems), "q"), ElementsAre("1"));
  EXPECT_THAT(Messages(problems), IsEmpty());
}

TEST(JsonFile, ReportsDamagedRecordsAndGoesOn) {
  DataFolder folder;
  Problems problems;
  folder.Write("a.json", "[{\"q\": 1},\n{\"q\": \"open},\n{\"q\": tru},\n7, {\"q\": 5}");
  EXPECT_THAT(Column(AllRows(kJson, folder, problems), "q"), ElementsAre("1", "5"));
  EXPECT_THAT(Messages(problems),
              ElementsAre(StartsWith("a.json:2: record 2: not valid JSON"),
                          StartsWith("a.json:3: record 3: not valid JSON"),
                          "a.json:4: record 4: is a JSON number, expected an object",
                          "a.json:4: the file ends within the list, expected ]"));
  folder.Write("a.json", "[{\"q\": 1},\n{\"q\": tru},\n7, {\"q\": 5}");
  Problems others;
  EXPECT_THAT(Column(AllRows(kJson, folder, others), "q"), ElementsAre("1", "5"));
  EXPECT_THAT(Messages(others),
              ElementsAre(StartsWith("a.json:2: record 2: not valid JSON"),
                          "a.json:3: record 3: is a JSON number, expected an object",
                          "a.json:3: the file ends within the list, expected ]"));
}

// Records and problems together are what is in the file, wherever a bracket is one too many.
TEST(JsonFile, LosesNoRecordToABracketTooMany) {
  const auto read = [](const DataFiles& data, const std::string& text, Problems& problems) {
    DataFolder folder;
    folder.Write("a.json", text);
    return Column(AllRows(data, folder, problems), "q");
  };
  Problems brace, bracket, early, deep, unclosed;
  EXPECT_THAT(read(kJson, "[{\"q\": 1},\n{\"q\": 2}},\n{\"q\": 3}]", brace), ElementsAre("1", "3"));
  EXPECT_THAT(Messages(brace), ElementsAre(StartsWith("a.json:2: record 2: not valid JSON")));
  EXPECT_THAT(read(kJson, "[{\"q\": 1},\n{\"q\": 2]},\n{\"q\": 3}]", bracket),
              ElementsAre("1", "3"));
  EXPECT_THAT(Messages(bracket), ElementsAre(StartsWith("a.json:2: record 2: not valid JSON")));
  EXPECT_THAT(read(kJson, "[{\"q\": 1},\n{\"q\": 2}],\n{\"q\": 3}]", early),
              ElementsAre("1", "2", "3"));
  EXPECT_THAT(Messages(early), ElementsAre("a.json:2: a ] closes the list before the end of the "
                                           "file; what follows is read as more of it"));
  EXPECT_THAT(read(kJsonData, "{\"data\": [{\"q\": 1}],\n{\"q\": 2}], \"more\": 1}", deep),
              ElementsAre("1", "2"));
  EXPECT_THAT(Messages(deep), ElementsAre(StartsWith("a.json:1: a ] closes the list before")));
  EXPECT_THAT(read(kJson, "[{\"q\": [1, 2},\n{\"q\": 3}]", unclosed), ElementsAre("3"));
  EXPECT_THAT(Messages(unclosed), ElementsAre(StartsWith("a.json:1: record 1: not valid JSON")));
}

TEST(JsonFile, ReadsOnBehindTheListAndSaysSo) {
  DataFolder folder;
  Problems problems, objects;
  folder.Write("a.json", "[{\"q\": 1}]\n[{\"q\": 2}, {\"q\": 3}]\nrest");
  EXPECT_THAT(Column(AllRows(kJson, folder, problems), "q"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Messages(problems),
              ElementsAre(StartsWith("a.json:1: a ] closes the list before"),
                          StartsWith("a.json:2: a ] closes the list before"),
                          StartsWith("a.json:3: record 4: not valid JSON"),
                          "a.json:3: the file ends within the list, expected ]"));
  folder.Write("a.json",
               "{\"data\": [{\"q\": 1}], \"more\": {\"x\": [2]}}\n{\"data\": [{\"q\": 2}]}");
  EXPECT_THAT(Column(AllRows(kJsonData, folder, objects), "q"), ElementsAre("1", "2"));
  EXPECT_THAT(Messages(objects),
              ElementsAre("a.json:2: the file goes on behind its object, expected its end; "
                          "records there are read as more of the list"));
  Problems twice, early;
  folder.Write("a.json",
               "{\"data\": [{\"q\": 1}],\n\"data\": [{\"q\": 2}], \"more\": [{\"q\": 3}]}");
  EXPECT_THAT(Column(AllRows(kJsonData, folder, twice), "q"), ElementsAre("1", "2"));
  EXPECT_THAT(Messages(twice),
              ElementsAre("a.json:2: data stands there twice; it is read as more records"));
  folder.Write("a.json",
               "{\"data\": {\"a\": {\"q\": 1}},\n\"b\": {\"q\": 2}}, \"more\": {\"x\": 3}}");
  EXPECT_THAT(Column(AllRows(kJsonData, folder, early), "q"), ElementsAre("1", "2"));
  EXPECT_THAT(Messages(early), ElementsAre(StartsWith("a.json:1: a } closes the list before")));
}

// Ten records, one mark of the file taken away, put in or changed: whatever that is, two rows at most are lost, and never in silence.
TEST(JsonFile, OneWrongMarkCostsTwoRowsAtMostAndIsReported) {
  const auto record = [](int i) {
    return "{\"q\": " + std::to_string(i) + ", \"a\": [\"no\", {\"q\": 0}], \"b\": \"x\"}";
  };
  std::mt19937_64 random(5);
  for (int round = 0; round < 500; ++round) {
    const bool keyed = random() % 3 == 0, member = random() % 2 == 0;
    const std::string between = random() % 3 == 0 ? ", " : ",\n";
    std::string text = keyed ? "{" : "[";
    for (int i = 1; i <= 10; ++i) {
      if (i > 1) text += between;
      if (keyed) text += "\"k" + std::to_string(i) + "\": ";
      text += record(i);
    }
    text += keyed ? "}" : "]";
    if (member) text = "{\"info\": {\"v\": [1]}, \"data\": " + text + ", \"more\": \"x\"}";
    size_t at = 0;
    const size_t begin = text.find("\"q\""), end = text.rfind("\"b\"");  // within the list
    do {
      at = begin + random() % (end - begin);
    } while (std::string_view("[]{}\",:").find(text[at]) == std::string_view::npos);
    const std::string mark(1, "[]{}\",:"[random() % 7]);
    const uint64_t kind = random() % 3;
    const std::string broken = kind == 0   ? text.substr(0, at) + text.substr(at + 1)
                               : kind == 1 ? text.substr(0, at) + mark + text.substr(at)
                                           : text.substr(0, at) + mark + text.substr(at + 1);
    DataFolder folder;
    folder.Write("a.json", broken);
    Problems problems;
    std::vector<std::string> rows;
    int64_t nameless = 0;  // reported by whoever misses their column
    for (const Row& row : AllRows(member ? kJsonData : kJson, folder, problems)) {
      const bool has_name = row.fields.contains("q");
      nameless += has_name ? 0 : 1;
      if (has_name) rows.push_back(TextOf(row.fields["q"], "q"));
    }
    int64_t lost = 0;
    for (int i = 1; i <= 10; ++i)
      lost += std::count(rows.begin(), rows.end(), std::to_string(i)) == 0 ? 1 : 0;
    ASSERT_LE(lost, 2) << broken << "\n" << ::testing::PrintToString(rows);
    ASSERT_LE(lost, problems.count() + nameless) << broken;
  }
}

// A file that is JSON is read as it is, and what is wrong elsewhere in one that is none makes no rows of other lists or of nested objects.
TEST(JsonFile, TakesNoRowsFromElsewhere) {
  const auto read = [](const std::string& text) {
    DataFolder folder;
    Problems problems;
    folder.Write("a.json", text);
    return Column(AllRows(kJsonData, folder, problems), "q");
  };
  const std::string rows =
      R"([{"q": 1, "a": 2, "t": [{"q": 8, "a": 2, "t": 3}]}, {"q": 2, "a": 2, "t": 3}])";
  const std::string list = "{\"data\": " + rows + ", \"test\": [{\"q\": 9, \"a\": 2, \"t\": 3}";
  for (const char* end : {"]}", ", NaN]}", ", {\"q\": \"open}]}", "]} x"})
    EXPECT_THAT(read(list + end), ElementsAre("1", "2")) << end;
  EXPECT_THAT(read(R"({"data": {"k": {"q": 1, "a": 2}}, "example": {"q": 9, "a": 2}})"),
              ElementsAre("1"));
  EXPECT_THAT(
      read("{\"data\": [\n" + rows.substr(1, rows.find(", {\"q\": 2") - 1) +
           ",\n{\"q\": 7, \"a\": \"open, \"t\": [{\"q\": 6, \"a\": 2, \"t\": 3}]},\n{\"q\": 3, "
           "\"a\": 2, \"t\": 3}]}"),
      ElementsAre("1", "3"));
}

TEST(JsonFile, RefusesAFileWithoutTheList) {
  DataFolder folder;
  Problems problems;
  folder.Write("a.json", "{\"rows\": []}");
  EXPECT_THAT(ErrorOf([&] { AllRows(kJsonData, folder, problems); }),
              HasSubstr("a.json: has no data, expected a list of records there"));
  folder.Write("a.json", "");
  EXPECT_THAT(ErrorOf([&] { AllRows(kJson, folder, problems); }),
              HasSubstr("begins with nothing, expected a JSON list or object"));
}

const DataFiles kVqa = {.format = DataFormat::kVqa, .files = {"q.json"}, .annotations = {"a.json"}};

TEST(VqaFiles, JoinsQuestionsAndAnnotations) {
  DataFolder folder;
  folder.Write(
      "q.json",
      R"({"info": {}, "questions": [{"image_id": 9, "question": "What?", "question_id": 900},
                   {"image_id": 9, "question": "Why?", "question_id": 901}]})");
  folder.Write("a.json",
               R"({"annotations": [{"question_id": 901, "answers": [{"answer": "so"}]},
                   {"question_id": 900, "answer_type": "other", "answers": [{"answer": "cat"}]}]})");
  Problems problems;
  const auto rows = AllRows(kVqa, folder, problems);
  EXPECT_THAT(Column(rows, "question"), ElementsAre("What?", "Why?"));
  EXPECT_EQ(rows[0].fields["answer_type"], "other");
  EXPECT_THAT(TextsOf(rows[1].fields["answers"], "answers"), ElementsAre("so"));
  EXPECT_EQ(problems.count(), 0);
}

TEST(VqaFiles, ReportsWhatHasNoPartner) {
  DataFolder folder;
  folder.Write("q.json",
               R"({"questions": [{"question_id": 1}, {"question_id": 2}, {"question": "x"}]})");
  folder.Write("a.json",
               R"({"annotations": [{"question_id": 1}, {"question_id": 1}, {"answer": "no"}]})");
  Problems problems;
  EXPECT_EQ(AllRows(kVqa, folder, problems).size(), 1u);
  EXPECT_THAT(Messages(problems),
              ElementsAre("a.json:1: record 2: question_id 1 has an annotation",
                          "a.json:1: record 3: question_id is missing or no integer or text",
                          "q.json:1: record 2: question_id 2 has no annotation in a.json",
                          "q.json:1: record 3: question_id  has no annotation in a.json"));
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
