// Records of JSON files: damage within one costs it alone, a fault of the structure what is behind it, and neither makes a row of what is
// none.
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
  std::string summary;
};

Outcome ReadText(const std::string& text, const DataFiles& data = kJson, ReaderLimits limits = {}) {
  DataFolder folder;
  folder.Write("a.json", text);
  Problems problems;
  Outcome outcome;
  outcome.rows = Column(AllRows(data, folder, problems, limits), "q");
  outcome.messages = Messages(problems);
  outcome.skipped = problems.count();
  outcome.summary = problems.Summary().dump();
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
      const Outcome outcome = ReadText(text, kJsonData, {.row_bytes = 2500});
      EXPECT_THAT(outcome.rows, ElementsAre("1", "3")) << damaged;
      EXPECT_THAT(outcome.messages, ElementsAre(StartsWith("a.json:1: record 2: ")));
      EXPECT_EQ(outcome.skipped, 1);
    }
  }
}

TEST(JsonFile, ReadsWhatIsInFrontOfAFaultAndTellsOfTheRest) {
  const Outcome quote = ReadText("[\n{\"q\": 1},\n{\"q\": 2},\n{\"q\": \"open},\n{\"q\": 4}\n]");
  EXPECT_THAT(quote.rows, ElementsAre("1", "2"));
  EXPECT_THAT(
      quote.messages,
      ElementsAre("a.json:4: not valid JSON: expected the text's closing quote on its line; "
                  "what is behind record 2 is not read: 26 bytes"));
  EXPECT_EQ(quote.skipped, 1);
  EXPECT_EQ(quote.summary, R"({"skipped":1,"syntax":1,"unread_bytes":26})");
  for (const char* text :
       {"[{\"q\": 1}, {\"q\": 2}, {\"q\": 3", "[{\"q\": 1}, {\"q\": 2}",
        "[{\"q\": 1}, {\"q\": 2}, {\"q\": 3}}, {\"q\": 4}]",
        "[{\"q\": 1}, {\"q\": 2},, {\"q\": 3}]", "[{\"q\": 1}, {\"q\": 2}, {\"q\": 3} {\"q\": 4}]",
        "[{\"q\": 1}, {\"q\": 2}, {\"q\": 3}, \"r\": 4}, {\"q\": 5}]",
        "[{\"q\": 1}, {\"q\": 2}], {\"q\": 3}]", "[{\"q\": 1}, {\"q\": 2}] [{\"q\": 3}]",
        "[{\"q\": 1}, {\"q\": 2},]", "[{\"q\": 1}, {\"q\": 2}, {\"q\": 3, \"t\": [{\"q\": 4}}]"}) {
    const Outcome outcome = ReadText(text);
    EXPECT_THAT(outcome.rows, ElementsAre("1", "2")) << text;
    EXPECT_THAT(outcome.messages, ElementsAre(StartsWith("a.json:1: not valid JSON: expected ")));
  }
  EXPECT_THAT(ReadText("{\"data\": [{\"q\": 1}], \"more\": [1 2]}", kJsonData).messages,
              ElementsAre("a.json:1: not valid JSON: expected a comma or ]; what is behind "
                          "record 1 is not read: 17 bytes"));
}

TEST(JsonFile, RefusesWhatIsNoListOrCannotBeToldApart) {
  EXPECT_THAT(ErrorOf([] { ReadText("{\"rows\": []}", kJsonData); }),
              HasSubstr("a.json: has no data, expected a list of records there"));
  EXPECT_THAT(ErrorOf([] { ReadText(""); }),
              HasSubstr("begins with nothing, expected a JSON list or object"));
  EXPECT_THAT(
      ErrorOf([] { ReadText("{\"rows\": [1 2],\n\"data\": [{\"q\": 1}]}", kJsonData); }),
      HasSubstr("a.json:1: not valid JSON: expected a comma or ]; in front of a list called "
                "data"));
  EXPECT_THAT(ErrorOf([] { ReadText("{\"a\": {\"q\": 1},\n\"b\": {\"q\": 2 3}}"); }),
              HasSubstr("a.json:2: not valid JSON: expected a comma or }; and records of an object "
                        "cannot be told from what is in them then"));
  EXPECT_THAT(
      ErrorOf([] { ReadText("{\"data\": [], \"x\": {\"data\": 1}, \"data\": []}", kJsonData); }),
      HasSubstr("a.json: has data twice, expected one list"));
  // One mark too many or missing, and the lists and objects around are on other levels.
  for (const char* text :
       {R"({"info": {"data": [{"q": 9}]}}, "data": [{"q": 1}]})",
        R"({"info": 1}, "data": [{"q": 1}]})", R"({"info": 1 "data": [{"q": 1}]})",
        R"({"info": {"v": 1}"data": [{"q": 9}]}, "data": [{"q": 1}]})",
        R"({"data": {"a": {"q": 1}, "b": {"q": 2}, "x": {"q": 9}})",
        R"({"data": {"a": {"q": 1, "b": {"q": 2}}, "x": {"q": 9}})"})
    EXPECT_THAT(ErrorOf([&] { ReadText(text, kJsonData); }),
                HasSubstr("a.json:1: not valid JSON: "))
        << text;
  EXPECT_THAT(ErrorOf([] { ReadText("{\"q\": 1}\n{\"q\": 2}\n"); }),
              HasSubstr("a.json:2: not valid JSON: expected the end of the file"));
}

TEST(JsonFile, KeysAreTexts) {
  const Outcome outcome =
      ReadText("{\"a\xFF\": {\"q\": 1}, \"b\": {\"q\": 2}, \"c\\q\": {\"q\": 3}}");
  EXPECT_THAT(outcome.rows, ElementsAre("2"));
  EXPECT_THAT(outcome.messages, ElementsAre("a.json:1: record 1: its key is no text of UTF-8",
                                            "a.json:1: record 3: its key is no text of UTF-8"));
}

// Ten records that hold objects with the same names, and lists of such before and behind.
class Mutated {
 public:
  explicit Mutated(uint64_t seed) : random_(seed) {
    indent_ = static_cast<int>(random_() % 4) - 1;
    member_ = random_() % 2 == 0;
    Json records = Json::array();
    for (int i = 1; i <= 10; ++i)
      records.push_back(Record(i, Json::array({Record(100 + i, 0), Record(200 + i, 0)})));
    const Json other = Json::array({Record(300, 0), Record(301, 0)});
    const Json all = {{"a", other}, {"data", records}, {"z", other}};
    text_ = (member_ ? all : records).dump(indent_);
  }

  // A byte is taken away, put in, or changed.
  std::string Broken() {
    place_ = random_() % text_.size();
    const std::string mark(1, "[]{}\",: \n\\x1"[random_() % 12]);
    const uint64_t kind = random_() % 3;
    return text_.substr(0, place_) + (kind == 0 ? "" : mark) +
           text_.substr(kind == 1 ? place_ : place_ + 1);
  }
  // Of the ten, how many end in front of the byte.
  int64_t records_before() const {
    int64_t count = 0;
    for (int i = 2; i <= 10; ++i) {
      const std::string next = "\"q\":" + std::string(indent_ < 0 ? "" : " ") + std::to_string(i);
      const size_t at = std::min(text_.find(next + ","), text_.find(next + "\n"));
      count += at < place_ ? 1 : 0;
    }
    return count;
  }
  const DataFiles& data() const { return member_ ? kJsonData : kJson; }

 private:
  static Json Record(int q, const Json& nested) {
    return {{"q", q}, {"p", "text " + std::to_string(q)}, {"t", nested}};
  }

  std::mt19937_64 random_;
  int indent_;
  bool member_;
  std::string text_;
  size_t place_ = 0;
};

TEST(JsonFile, AWrongByteMakesNoRowsAndCostsNoneInFrontOfIt) {
  int64_t refused = 0, all = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Mutated file(seed);
    const std::string broken = file.Broken();
    DataFolder folder;
    folder.Write("a.json", broken);
    Problems problems;
    std::vector<Row> rows;
    try {
      rows = AllRows(file.data(), folder, problems);
    } catch (const Error&) {
      ++refused;
      continue;
    }
    std::set<int64_t> seen;
    for (const Row& row : rows) {
      if (!row.fields.contains("q") || !row.fields["q"].is_number_integer()) continue;
      const auto q = row.fields["q"].get<int64_t>();
      // A digit may be the byte.
      const bool own = row.fields.contains("p") && row.fields["p"] == "text " + std::to_string(q);
      EXPECT_TRUE(!own || (q >= 1 && q <= 10 && seen.insert(q).second)) << q << "\n" << broken;
    }
    // The one before the byte may be a part.
    EXPECT_GE(std::ssize(rows), file.records_before() - 1) << broken;
    EXPECT_TRUE(rows.size() == 10 || problems.count() > 0) << broken;
    all += rows.size() == 10 ? 1 : 0;
  }
  EXPECT_LT(refused, 450) << "those with a fault in front of the list";
  EXPECT_GT(all, 150) << "those with a fault in a text, or behind the list";
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
