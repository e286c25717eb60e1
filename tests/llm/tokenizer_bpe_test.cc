// Byte-level BPE against the tokenizers library, and what its reader refuses.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/json.h"
#include "llm/bpe/bpe_model.h"
#include "llm/bpe/byte_alphabet.h"
#include "llm/bpe/word_splitter.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_bpe.h"
#include "llm/tokenizer_json.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const fs::path kBpeData = fs::path(BINOCLE_TEST_DATA) / "tokenizer_bpe";

class BpeKinds : public ::testing::TestWithParam<std::string> {
 protected:
  const std::unique_ptr<Tokenizer> tokenizer_ = LoadTokenizer(kBpeData / GetParam());
  const Json cases_ = ReadJsonFile(kBpeData / GetParam() / "cases.json");
};
INSTANTIATE_TEST_SUITE_P(All, BpeKinds,
                         ::testing::Values("gpt2", "prefix_space", "smollm2", "qwen2", "llama3"),
                         [](const auto& test) { return test.param; });

TEST_P(BpeKinds, EncodesAndDecodesAsTheLibraryDoes) {
  ASSERT_GT(cases_["encode"].size(), 80U);
  EXPECT_EQ(tokenizer_->vocabulary_size(), cases_["size"].get<int32_t>());
  for (const Json& row : cases_["encode"]) {
    const Ids ids = tokenizer_->Encode(row["text"].get<std::string>(), AddSpecial::kYes);
    EXPECT_EQ(ids, row["ids"].get<Ids>()) << row["text"];
    EXPECT_EQ(Decode(*tokenizer_, ids), row["decoded"].get<std::string>()) << row["text"];
  }
}

TEST_P(BpeKinds, BytesThatMakeNoCharactersAreReplacedAsTheLibraryDoes) {
  for (const Json& row : cases_["broken"])
    EXPECT_EQ(Decode(*tokenizer_, row["ids"].get<Ids>()), row["decoded"].get<std::string>())
        << row["ids"];
}

TEST_P(BpeKinds, AStreamSaysWhatTheWholeSays) {
  for (const char* list : {"encode", "broken"}) {
    for (const Json& row : cases_[list]) {
      StreamingDecoder decoder(*tokenizer_);
      std::string text;
      for (const int32_t id : row["ids"].get<Ids>()) text += decoder.Push(id);
      EXPECT_EQ(text + decoder.Finish(), row["decoded"].get<std::string>()) << row["ids"];
    }
  }
}

TEST_P(BpeKinds, NamesAndIdsAgree) {
  int32_t named = 0;
  for (int32_t id = 0; id < tokenizer_->vocabulary_size(); ++id) {
    const std::string_view spelling = tokenizer_->Spelling(id);
    if (spelling.empty()) continue;
    EXPECT_EQ(tokenizer_->IdOf(spelling), id) << spelling;
    ++named;
  }
  EXPECT_GT(named, 256);
  EXPECT_EQ(tokenizer_->IdOf("no such token"), -1);
}

TEST(BpeModel, TheLowestRankGoesFirstAndTheLeftOneOfEquals) {
  //             0    1    2    3     4     5
  const std::vector<std::string> tokens = {"a", "b", "c", "ab", "bc", "aa"};
  const auto encode = [&](const std::vector<std::pair<int32_t, int32_t>>& merges,
                          std::string_view word) {
    Ids ids;
    BpeModel(tokens, merges, false, "model").Encode(word, ids);
    return ids;
  };
  EXPECT_EQ(encode({{0, 1}, {1, 2}}, "abc"), Ids({3, 2}));
  EXPECT_EQ(encode({{1, 2}, {0, 1}}, "abc"), Ids({0, 4}));
  EXPECT_EQ(encode({{0, 0}}, "aaa"), Ids({5, 0}));
  EXPECT_EQ(encode({{0, 0}}, "aXa"), Ids({5})) << "a byte that is no token is left out";
  EXPECT_EQ(encode({}, ""), Ids());
}

TEST(BpeModel, WholeWordsNeedNoMerges) {
  Ids ids;
  const BpeModel model({"a", "b", "ba"}, {}, true, "model");
  model.Encode("ba", ids);
  model.Encode("bab", ids);
  EXPECT_EQ(ids, Ids({2, 1, 0, 1}));
}

TEST(BpeModel, AMergeMakesATokenThatThereIs) {
  EXPECT_EQ(testing::ErrorOf([] {
              BpeModel({"a", "b"}, {{0, 1}}, false, "tokenizer.json");
            }),
            "INVALID_ARGUMENT: tokenizer.json: merge 0 of ids 0 and 1 makes a token that the "
            "vocabulary does not have");
}

// The 256 bytes, and added tokens behind them.
std::unique_ptr<Tokenizer> BytesAnd(std::map<int32_t, AddedToken> added) {
  BpeSpec spec{.nfc = true, .added = std::move(added)};
  for (int byte = 0; byte < 256; ++byte)
    spec.spellings.push_back(SpellingOfBytes(std::string(1, static_cast<char>(byte))));
  return MakeBpeTokenizer(std::move(spec), "test");
}

// What tokenizers 0.22 does with such tokens: AddedVocabulary's two passes.
TEST(AddedTokensOfBpe, NormalizedOnesAreFoundInTheNormalizedTextAndAfterTheOthers) {
  const auto t = BytesAnd({{300, {.content = "e\xCC\x81", .normalized = true}},
                           {301, {.content = "<a"}},
                           {302, {.content = "<ab>", .normalized = true}}});
  EXPECT_EQ(t->Encode("\xC3\xA9", AddSpecial::kNo), (Ids{300})) << "the composed form";
  EXPECT_EQ(t->Encode("e\xCC\x81", AddSpecial::kNo), (Ids{300}));
  EXPECT_EQ(t->Encode("<ab>", AddSpecial::kNo), (Ids{301, 'b', '>'}))
      << "the longer one comes second";
  EXPECT_EQ(t->IdOf("e\xCC\x81"), 300);
}

TEST(AddedTokensOfBpe, TakeAlongUnicodesWhiteSpace) {
  const auto t = BytesAnd(
      {{300, {.content = "<l>", .lstrip = true}}, {301, {.content = "<r>", .rstrip = true}}});
  EXPECT_EQ(t->Encode("x \xC2\x85<l>", AddSpecial::kNo), (Ids{'x', 300}));
  EXPECT_EQ(t->Encode("x\x1C<l>", AddSpecial::kNo), (Ids{'x', 0x1C, 300}))
      << "Python's strip takes it";
  EXPECT_EQ(t->Encode("<r>\x1F\ty", AddSpecial::kNo), (Ids{301, 0x1F, '\t', 'y'}));
}

TEST(ByteAlphabet, IsGpt2s) {
  EXPECT_EQ(BytesOfSpelling("Ġthe"), " the");
  EXPECT_EQ(BytesOfSpelling("ĊÃ©"), "\n\xC3\xA9");
  EXPECT_EQ(BytesOfSpelling("Ń"), "\xAD") << "the last letter";
  EXPECT_EQ(BytesOfSpelling("ń"), std::nullopt);
  EXPECT_EQ(BytesOfSpelling("a b"), std::nullopt);
  EXPECT_EQ(BytesOfSpelling("語"), std::nullopt);
}

TEST(WordSplitter, KeepsOrDropsWhatLiesBetweenMatches) {
  const auto words = [](std::vector<SplitStep> steps, std::string_view text) {
    std::vector<std::string> out;
    WordSplitter(std::move(steps)).Split(text, [&](std::string_view w) { out.emplace_back(w); });
    return out;
  };
  using Words = std::vector<std::string>;
  const WordPattern letters("[a-z]+", "test");
  EXPECT_EQ(words({PatternSplit{letters}}, "1ab2 c"), Words({"1", "ab", "2 ", "c"}));
  EXPECT_EQ(words({PatternSplit{letters, false}}, "1ab2 c"), Words({"ab", "c"}));
  EXPECT_EQ(words({DigitSplit{true}}, "a12½"), Words({"a", "1", "2", "½"}));
  EXPECT_EQ(words({DigitSplit{false}}, "a12½"), Words({"a", "12½"}));
  EXPECT_EQ(words({}, "a b"), Words({"a b"}));
  // The second step sees each word by itself: nothing follows the blank there.
  EXPECT_EQ(words({DigitSplit{true}, PatternSplit{WordPattern(R"(\s+(?!\S))", "test")}}, "a 1"),
            Words({"a", " ", "1"}));
}

TEST(WordPattern, BlanksAreUnicodes) {
  const WordPattern blanks(R"([^\s]+|\s)", "test");
  std::vector<size_t> lengths;
  blanks.ForEachMatch("\u00a0\u2003\u180ea\u0085",
                      [&](size_t, size_t length) { lengths.push_back(length); });
  EXPECT_EQ(lengths, std::vector<size_t>({2, 3, 4, 2})) << "U+180E is none";
}

TEST(WordPattern, WhatTakesTooLongIsAnError) {
  const WordPattern hostile("(a+)+b|(a+)+c", "tokenizer.json");
  EXPECT_EQ(
      testing::ErrorOf([&] { hostile.ForEachMatch(std::string(64, 'a'), [](size_t, size_t) {}); }),
      "INVALID_ARGUMENT: tokenizer.json: the pattern takes too long or too much memory for "
      "this text");
}

TEST(WordPattern, AMegabyteOfOneCharacterIsNoTrouble) {
  const WordPattern pattern(kGpt2Pattern, "test");
  for (const char c : {'a', ' ', '1', '!', '\n'}) {
    size_t bytes = 0;
    pattern.ForEachMatch(std::string(kMaxTextBytes, c), [&](size_t, size_t n) { bytes += n; });
    EXPECT_EQ(bytes, kMaxTextBytes) << c;
  }
}

// The error of reading the golden file with one thing changed.
std::string JsonLoadError(const std::function<void(Json&)>& change) {
  const fs::path folder = fs::path(::testing::TempDir()) / "binocle_bpe_json";
  fs::create_directories(folder);
  Json json = ReadJsonFile(kBpeData / "qwen2" / "tokenizer.json");
  change(json);
  std::ofstream(folder / "tokenizer.json") << json.dump();
  std::string error = testing::ErrorOf([&] { LoadJsonTokenizer(folder); });
  const std::string name = folder.string() + "/";
  for (size_t at; (at = error.find(name)) != std::string::npos;) error.erase(at, name.size());
  fs::remove_all(folder);
  return error;
}

TEST(JsonTokenizer, RefusesKindsByName) {
  const auto expect = [](const std::string& error, const std::function<void(Json&)>& change) {
    EXPECT_EQ(JsonLoadError(change), error);
  };
  expect("no error", [](Json&) {});
  expect("UNIMPLEMENTED: tokenizer.json: model: type is Unigram, expected BPE",
         [](Json& j) { j["model"]["type"] = "Unigram"; });
  expect("UNIMPLEMENTED: tokenizer.json: normalizer: type is NFKC, expected NFC",
         [](Json& j) { j["normalizer"]["type"] = "NFKC"; });
  expect(
      "UNIMPLEMENTED: tokenizer.json: pre_tokenizer: type is Metaspace, expected Split, Digits or "
      "ByteLevel",
      [](Json& j) {
        j["pre_tokenizer"] = {{"type", "Metaspace"}};
      });
  expect(
      "UNIMPLEMENTED: tokenizer.json: pre_tokenizer is without ByteLevel, expected a byte-level "
      "vocabulary",
      [](Json& j) { j["pre_tokenizer"] = nullptr; });
  expect("UNIMPLEMENTED: tokenizer.json: decoder: type is Metaspace, expected ByteLevel",
         [](Json& j) { j["decoder"]["type"] = "Metaspace"; });
  expect("INVALID_ARGUMENT: tokenizer.json: model: merges: 'zzz' is no token of the vocabulary",
         [](Json& j) { j["model"]["merges"][0] = "zzz a"; });
  expect("INVALID_ARGUMENT: tokenizer.json: model: vocab is {}, expected 1 to 2097152 tokens",
         [](Json& j) { j["model"]["vocab"] = Json::object(); });
  expect(
      "UNIMPLEMENTED: tokenizer.json: added token <tool_call> is single_word, expected one that is "
      "found anywhere",
      [](Json& j) {
        for (Json& token : j["added_tokens"])
          if (token["content"] == "<tool_call>") token["single_word"] = true;
      });
}

// What transformers 4.57 does beside tokenizer.json, seen with the same files changed in the same way.
class BesideTheFile : public ::testing::Test {
 protected:
  BesideTheFile() { fs::copy(kBpeData / "gpt2", folder_); }
  ~BesideTheFile() override { fs::remove_all(folder_); }

  // Tokenizes with members of tokenizer_config.json set to these; and without the list of added tokens.
  Ids Encode(const std::string& text, const Json& members, bool added = true) {
    Json config = ReadJsonFile(kBpeData / "gpt2" / "tokenizer_config.json");
    config.update(members);
    Json file = ReadJsonFile(kBpeData / "gpt2" / "tokenizer.json");
    if (!added) {
      config.erase("added_tokens_decoder");
      file["added_tokens"] = Json::array();
    }
    std::ofstream(folder_ / "tokenizer_config.json") << config;
    std::ofstream(folder_ / "tokenizer.json") << file;
    fs::remove(folder_ / "special_tokens_map.json");
    return LoadTokenizer(folder_)->Encode(text, AddSpecial::kYes);
  }

 private:
  const fs::path folder_ = fs::temp_directory_path() / ("binocle_bpe_" + std::to_string(getpid()));
};

TEST_F(BesideTheFile, ABareByteLevelTakesItsPrefixSpaceFromTheConfiguration) {
  const Ids plain = Encode("hello", {{"add_prefix_space", false}});
  EXPECT_EQ(Encode("hello", Json::object()), plain) << "false is the default";
  const Ids spaced = Encode("hello", {{"add_prefix_space", true}});
  EXPECT_NE(spaced, plain);
  EXPECT_EQ(spaced, Encode(" hello", {{"add_prefix_space", false}}));
}

TEST_F(BesideTheFile, LlamasClassPutsBosInFront) {
  const Json roles = {{"bos_token", "<|im_end|>"}, {"eos_token", "<|im_end|>"}};
  Json llama = roles;
  llama["tokenizer_class"] = "LlamaTokenizerFast";
  const Ids plain = Encode("hello", roles);
  Ids wanted = plain;
  wanted.insert(wanted.begin(), 0);
  EXPECT_EQ(Encode("hello", llama), wanted);
  llama["add_eos_token"] = true;
  wanted.push_back(0);
  EXPECT_EQ(Encode("hello", llama), wanted);
  llama["add_bos_token"] = false;
  wanted.erase(wanted.begin());
  EXPECT_EQ(Encode("hello", llama), wanted);
}

TEST_F(BesideTheFile, ATokenWithARoleIsOneWhetherItIsListedOrNot) {
  const Json roles = {{"eos_token", "<|im_end|>"}};
  EXPECT_EQ(Encode("hello<|im_end|>", roles).back(), 0);
  EXPECT_EQ(Encode("hello<|im_end|>", roles, /*added=*/false), Encode("hello<|im_end|>", roles))
      << "it is in the vocabulary";
}

}  // namespace
}  // namespace binocle
