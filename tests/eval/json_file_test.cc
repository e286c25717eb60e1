// Records of JSON files: what is damaged costs little where a file's structure or its lines show where records begin, and never makes a
// row of what is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "eval/readers/readers.h"
#include "eval/readers/values.h"
#include "tests/eval/data_folder.h"
#include "tests/testing/errors.h"

namespace binocle::eval {
namespace {

using ::binocle::testing::ErrorOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

const DataFiles kJson = {.format = DataFormat::kJson, .files = {"a.json"}};
const DataFiles kJsonData = {.format = DataFormat::kJson, .files = {"a.json"}, .records = "data"};

// Column q of the rows, and all that is said about the file.
struct Outcome {
  std::vector<std::string> rows;
  std::vector<std::string> messages;
  int64_t skipped = 0;
};

Outcome Read(const std::string& text, const DataFiles& data = kJson, ReaderLimits limits = {}) {
  DataFolder folder;
  folder.Write("a.json", text);
  Problems problems;
  Outcome outcome;
  outcome.rows = Column(AllRows(data, folder, problems, limits), "q");
  outcome.messages = Messages(problems);
  outcome.skipped = problems.count();
  return outcome;
}

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

// Brackets, quotes and commas are where they must be: all on one line, and every other record comes.
TEST(JsonFile, DamageWithinARecordCostsItAlone) {
  const std::string deep = std::string(2000, '[') + std::string(2000, ']');
  for (const std::string& damaged :
       {std::string("{\"q\": tru}"), std::string("{\"q\": \"\xE9\"}"), std::string("{\"q\": 01}"),
        std::string("{\"q\": \"\\x\"}"), std::string("{\"q\": \"a\0b\"}", 12), std::string("7"),
        std::string("{\"q\": 1, \"q\": 2}"), "{\"q\": " + deep + "}", std::string("[[]]"),
        "{\"q\": \"" + std::string(3000, 'x') + "\"}"}) {
    for (const char* rest : {"[{\"q\": 9}]", "{\"q\": 9}"}) {
      const std::string text = "{\"data\": [{\"q\": 1}, " + damaged +
                               ", {\"q\": 3, \"t\": {\"q\": 8}}], \"test\": " + rest + "}";
      const Outcome outcome = Read(text, kJsonData, {.row_bytes = 2500});
      EXPECT_THAT(outcome.rows, ElementsAre("1", "3")) << damaged;
      EXPECT_THAT(outcome.messages, ElementsAre(StartsWith("a.json:1: record 2: ")));
      EXPECT_EQ(outcome.skipped, 1);
    }
  }
}

TEST(JsonFile, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(
      Read("[\n{\"q\": 1},\n{\"q\": \"open},\n{\"q\": 3,\n \"r\" 4},\n{\"q\": 5}\n]").messages,
      ElementsAre("a.json:3: record 2: not valid JSON: expected the text's closing quote on "
                  "its line",
                  "a.json:4: record 3: not valid JSON: expected a colon behind the name in "
                  "line 5"));
  EXPECT_THAT(Read("[{\"q\": 1}, {\"q\": 2}").messages,
              ElementsAre("a.json:1: the file ends within the list, expected ]"));
  EXPECT_THAT(Read("[{\"q\": 1},\n{\"q\": 2}\n{\"q\": 3},]").messages,
              ElementsAre("a.json:3: a comma is missing in front of this record",
                          "a.json:3: has a comma too many, expected a record"));
  EXPECT_THAT(Read("{\"data\": [{\"q\": 1}],\n\"data\": [{\"q\": 2}]}", kJsonData).messages,
              ElementsAre("a.json:2: data stands there twice; the first one is read"));
  EXPECT_THAT(Read("{\"data\": [{\"q\": 1}],\n\"more\": [1 2]}", kJsonData).messages,
              ElementsAre("a.json:2: not valid JSON: expected a comma or ]; the list is read as "
                          "it is"));
}

// A note costs no row.
TEST(JsonFile, CountsTheRowsThatAreLost) {
  const Outcome commas = Read("[{\"q\": 1} {\"q\": 2} {\"q\": 3}]");
  EXPECT_THAT(commas.rows, ElementsAre("1", "2", "3"));
  EXPECT_EQ(commas.skipped, 0);
  const Outcome broken = Read("[\n{\"q\": 1},\n{\"q 2},\n{\"q 3},\n{\"q 4},\n{\"q\": 5}\n]");
  EXPECT_THAT(broken.rows, ElementsAre("1", "5"));
  EXPECT_EQ(broken.skipped, 3);
}

TEST(JsonFile, StopsAtTheFirstFaultWhereRecordsShareLines) {
  const Outcome outcome = Read("[{\"q\": 1}, {\"q\": 2, \"t\": \"open}, {\"q\": 3}, {\"q\": 4}]");
  EXPECT_THAT(outcome.rows, ElementsAre("1"));
  EXPECT_THAT(
      outcome.messages,
      ElementsAre("a.json:1: record 2: not valid JSON: expected a comma or }; where records "
                  "share lines it cannot be told where the next one begins: 41 bytes are "
                  "not read"));
  EXPECT_THAT(Read("{\"a\": {\"q\": 1}, \"b\": {\"q\": 2}, \"c\": {").rows, ElementsAre("1", "2"));
  EXPECT_THAT(
      ErrorOf([] { Read("{\"a\": {\"q\": 1}, \"b\": {\"q\": 2 3}}"); }),
      HasSubstr("a.json:1: not valid JSON: expected a comma or }; records of an object that "
                "do not begin lines of their own cannot be told from what is in them"));
}

TEST(JsonFile, ReadsOnBehindAListThatIsClosedTooEarly) {
  const Outcome list = Read("[{\"q\": 1},\n{\"q\": 2}],\n{\"q\": 3},\n{\"q\": 4}]");
  EXPECT_THAT(list.rows, ElementsAre("1", "2", "3", "4"));
  EXPECT_THAT(list.messages, ElementsAre("a.json:2: a ] closes the list and the file goes on; what "
                                         "follows is read as more of it"));
  const Outcome two = Read("[{\"q\": 1}] [{\"q\": 2}]");
  EXPECT_THAT(two.rows, ElementsAre("1"));
  EXPECT_THAT(two.messages, ElementsAre("a.json:1: a ] closes the list and the file goes on; what "
                                        "follows is not read"));
}

// Ten records with objects of the same names in them, and lists of such before and behind.
class Mutated {
 public:
  enum class Layout { kLines, kFromTheBracketOn, kIndented, kOneLine };

  explicit Mutated(uint64_t seed) : random_(seed) {
    layout_ = static_cast<Layout>(random_() % 4);
    keyed_ = random_() % 3 == 0;
    member_ = random_() % 2 == 0;
    std::vector<std::string> records;
    for (int i = 1; i <= 10; ++i) records.push_back(Record(i, "[" + Record(100 + i, "[]") + "]"));
    text_ = List(records, member_ ? "  " : "");
    if (!member_) return;
    const std::string other = "[" + Record(200, "[]") + ", " + Record(201, "[]") + "]";
    const std::string line = layout_ == Layout::kOneLine ? " " : "\n ";
    text_ = "{" + line + "\"info\": {\"x\": " + other + "}," + line + "\"data\": " + text_ + "," +
            line + "\"more\": " + List({Record(202, "[]"), Record(203, "[]")}, "  ") + "}";
  }

  // One mark is taken away, put in, or changed, within the list or anywhere.
  std::string Broken(bool anywhere) {
    const size_t begin = anywhere ? 0 : text_.find("\"q\": 1,"),
                 end = anywhere ? text_.size() : text_.find("\"q\": 110");
    size_t at = 0;
    do {
      at = begin + random_() % (end - begin);
    } while (std::string_view("[]{}\",:").find(text_[at]) == std::string_view::npos);
    const std::string mark(1, "[]{}\",:"[random_() % 7]);
    const uint64_t kind = random_() % 3;
    return text_.substr(0, at) + (kind == 0 ? "" : mark) + text_.substr(kind == 1 ? at : at + 1);
  }
  Layout layout() const { return layout_; }
  bool keyed() const { return keyed_; }
  const DataFiles& data() const { return member_ ? kJsonData : kJson; }

 private:
  std::string Record(int q, const std::string& nested) const {
    const char* between = layout_ == Layout::kIndented ? ",\n      " : ", ";
    const std::string q_text = std::to_string(q);
    return "{\"q\": " + q_text + between + "\"a\": \"text " + q_text + "\"" + between +
           "\"t\": " + nested + "}";
  }
  std::string List(const std::vector<std::string>& records, const std::string& indent) const {
    std::string text = keyed_ ? "{" : "[";
    for (size_t i = 0; i < records.size(); ++i) {
      const bool same_line =
          layout_ == Layout::kOneLine || (layout_ == Layout::kFromTheBracketOn && i == 0);
      text += i == 0 ? "" : ",";
      text += same_line ? " " : "\n" + indent + (layout_ == Layout::kIndented ? "  " : "");
      if (keyed_) text += "\"k" + std::to_string(i) + "\": ";
      text += records[i];
    }
    const bool own_line = layout_ == Layout::kLines || layout_ == Layout::kIndented;
    return text + (own_line ? "\n" + indent : "") + (keyed_ ? "}" : "]");
  }

  std::mt19937_64 random_;
  Layout layout_;
  bool keyed_, member_;
  std::string text_;
};

// Whatever the mark is and wherever it is.
TEST(JsonFile, AWrongMarkMakesNoRowsOfNestedObjectsAndOtherLists) {
  int refused = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Mutated file(seed);
    const std::string broken = file.Broken(/*anywhere=*/true);
    DataFolder folder;
    folder.Write("a.json", broken);
    Problems problems;
    std::vector<Row> rows;
    try {
      rows = AllRows(file.data(), folder, problems);
    } catch (const Error&) {
      ++refused;
    }
    std::set<int64_t> seen;
    for (const Row& row : rows) {
      // A mark in a record's own name or text changes that record alone.
      if (!row.fields.contains("q") || !row.fields["q"].is_number_integer()) continue;
      const auto q = row.fields["q"].get<int64_t>();
      EXPECT_TRUE(q >= 1 && q <= 10 && seen.insert(q).second) << q << "\n" << broken;
    }
  }
  EXPECT_LT(refused, 500);
}

TEST(JsonFile, AWrongMarkCostsTwoRowsAtMostWhereRecordsBeginLines) {
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Mutated file(seed);
    if (file.layout() == Mutated::Layout::kOneLine) continue;
    const std::string broken = file.Broken(/*anywhere=*/false);
    DataFolder folder;
    folder.Write("a.json", broken);
    Problems problems;
    int64_t lost = 10, nameless = 0;
    for (const Row& row : AllRows(file.data(), folder, problems)) {
      --lost;
      nameless += row.fields.contains("q") ? 0 : 1;  // reported by whoever misses their column
    }
    EXPECT_LE(lost, 2) << broken << ::testing::PrintToString(Messages(problems));
    EXPECT_LE(lost, problems.count() + nameless) << broken;
  }
}

TEST(JsonFile, RefusesAFileWithoutTheList) {
  EXPECT_THAT(ErrorOf([] { Read("{\"rows\": []}", kJsonData); }),
              HasSubstr("a.json: has no data, expected a list of records there"));
  EXPECT_THAT(ErrorOf([] { Read(""); }),
              HasSubstr("begins with nothing, expected a JSON list or object"));
  EXPECT_THAT(
      ErrorOf([] { Read("{\"rows\": [1 2], \"date\": [{\"q\": 1}]}", kJsonData); }),
      HasSubstr("a.json:1: not valid JSON: expected a comma or ]; no list of records called "
                "data can be told from what else is there"));
  // What is in front of it may be broken where there is no doubt which one it is.
  EXPECT_THAT(Read("{\"info\": {\"data\": tr\"ue}, \"data\": [{\"q\": 1}]}", kJsonData).rows,
              ElementsAre("1"));
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

}  // namespace
}  // namespace binocle::eval
