// A journal after anything that can happen to it: what is whole stays, what is torn goes, what is damaged is told.
#include "eval/run/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "eval/run/sha256.h"
#include "tests/eval/run/runs.h"

namespace binocle::eval {
namespace {

using ::testing::HasSubstr;

TEST(Sha256, IsThatOfThePublishedExamples) {
  EXPECT_EQ(Sha256Of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Of(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowBytesCome) {
  const std::string text(200, 'x');
  for (size_t first = 0; first <= text.size(); ++first) {
    Sha256 hash;
    hash.Add(text.substr(0, first));
    hash.Add(text.substr(first));
    ASSERT_EQ(hash.Hex(), Sha256Of(text)) << first;
  }
}

OrderedJson Sample(int i) {
  return {{"task", 0}, {"doc_id", i}, {"prediction", "an \"answer\"\n"}};
}

// A journal of a head and `samples` samples.
std::filesystem::path Written(const DataFolder& folder, int samples) {
  const std::filesystem::path path = folder.path() / "journal.jsonl";
  Journal journal(path);
  journal.Append({{"run", 1}});
  for (int i = 0; i < samples; ++i) journal.Append(Sample(i));
  return path;
}

TEST(Journal, GivesBackWhatWasAppended) {
  const DataFolder folder;
  const JournalFile file(Written(folder, 3));
  ASSERT_EQ(file.lines(), 4u);
  EXPECT_FALSE(file.is_torn());
  EXPECT_EQ(file.Parse(2)["doc_id"], 1);
  EXPECT_EQ(file.Parse(2)["prediction"], "an \"answer\"\n");
}

TEST(Journal, TornAtAnyByteOfItsLastLineLosesThatLineAlone) {
  const DataFolder folder;
  const std::string text = ReadAllOf(Written(folder, 3));
  const size_t last = text.rfind('\n', text.size() - 2) + 1;
  for (size_t size = last; size < text.size(); ++size) {
    folder.Write("torn.jsonl", text.substr(0, size));
    const JournalFile file(folder.path() / "torn.jsonl");
    ASSERT_EQ(file.lines(), 3u) << size;
    ASSERT_EQ(file.whole_bytes(), last) << size;
    ASSERT_EQ(file.is_torn(), size > last) << size;
  }
}

TEST(Journal, TornAtAnyByteAtAllGoesOnToTheSameText) {
  const DataFolder folder;
  const std::string text = ReadAllOf(Written(folder, 2));
  for (size_t size = 0; size <= text.size(); ++size) {
    folder.Write("torn.jsonl", text.substr(0, size));
    Journal journal(folder.path() / "torn.jsonl");
    const JournalFile before = journal.Read();
    journal.Cut(before.whole_bytes());
    if (before.lines() == 0) journal.Append({{"run", 1}});
    for (int i = std::max<int>(0, static_cast<int>(before.lines()) - 1); i < 2; ++i)
      journal.Append(Sample(i));
    ASSERT_EQ(ReadAllOf(folder.path() / "torn.jsonl"), text) << size;
  }
}

TEST(Journal, ALastLineOfTheRightLengthAndTheWrongBytesIsTorn) {
  const DataFolder folder;
  std::string text = ReadAllOf(Written(folder, 2));
  for (size_t i = text.size() - 20; i < text.size() - 1; ++i) text[i] = '\0';
  folder.Write("torn.jsonl", text);
  const JournalFile file(folder.path() / "torn.jsonl");
  EXPECT_EQ(file.lines(), 2u);
  EXPECT_TRUE(file.is_torn());
}

TEST(Journal, AnyChangedByteBeforeTheLastLineIsToldWithFileAndLine) {
  const DataFolder folder;
  const std::string text = ReadAllOf(Written(folder, 2));
  const size_t last = text.rfind('\n', text.size() - 2) + 1;
  for (size_t at = 0; at < last; ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    folder.Write("damaged.jsonl", damaged);
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
    const Error error = Thrown([&] { JournalFile file(folder.path() / "damaged.jsonl"); });
    ASSERT_EQ(error.code(), Code::kDataLoss) << at;
    ASSERT_THAT(error.message(),
                HasSubstr("damaged.jsonl: line " + std::to_string(line) + " is damaged"))
        << at;
  }
}

TEST(Journal, IsWrittenByOneProcessAtATime) {
  const DataFolder folder;
  const Journal journal(folder.path() / "j.jsonl");
  const Error error = Thrown([&] { Journal other(folder.path() / "j.jsonl"); });
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_THAT(error.message(), HasSubstr("j.jsonl: another process writes it"));
}

TEST(Journal, HasASealThatOtherProgramsCanCheck) {
  const std::string line = Sealed({{"a", 1}});
  EXPECT_EQ(line, R"({"a":1,"seal":")" + Sha256Of(R"({"a":1)").substr(0, 16) + "\"}");
  EXPECT_TRUE(IsSealed(line));
  EXPECT_FALSE(IsSealed(line + " "));
  EXPECT_FALSE(IsSealed(""));
  EXPECT_FALSE(IsSealed(R"({"a":1})"));
}

TEST(DifferenceOf, NamesThePlaceWhatWasFoundAndWhatWasExpected) {
  EXPECT_EQ(DifferenceOf(Json::parse(R"({"a": [1, {"b": 2}], "c": 3})"),
                         Json::parse(R"({"a": [1, {"b": 5}], "d": "x"})")),
            "a[1].b is 2, expected 5; c is 3, expected none; d is missing, expected \"x\"");
  EXPECT_EQ(DifferenceOf(Json(1), Json(1)), "");
}

}  // namespace
}  // namespace binocle::eval
