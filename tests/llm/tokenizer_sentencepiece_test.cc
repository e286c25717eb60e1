#include "llm/tokenizer_sentencepiece.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/json.h"
#include "core/mapped_file.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_added_tokens.h"
#include "llm/utf8.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const fs::path kData = fs::path(BINOCLE_TEST_DATA) / "tokenizer";

// A directory of its own that goes when the test ends.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "binocle_tokenizer_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  void Write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string ModelBytes() { return ReadFile(kData / "legacy" / "tokenizer.model", size_t{1} << 24); }

// The error of loading the golden model with these configuration files, without the directory's name.
std::string LoadError(const std::vector<std::pair<std::string, std::string>>& files,
                      std::string_view model = ModelBytes()) {
  const TemporaryDirectory directory;
  if (!model.empty()) directory.Write("tokenizer.model", model);
  for (const auto& [name, content] : files) directory.Write(name, content);
  std::string error = testing::ErrorOf([&] { LoadSentencePieceTokenizer(directory.path()); });
  const std::string prefix = directory.path().string() + "/";
  for (size_t at; (at = error.find(prefix)) != std::string::npos;) error.erase(at, prefix.size());
  return error;
}

std::unique_ptr<Tokenizer> LoadWith(const std::vector<std::pair<std::string, std::string>>& files) {
  const TemporaryDirectory directory;
  directory.Write("tokenizer.model", ModelBytes());
  for (const auto& [name, content] : files) directory.Write(name, content);
  return LoadSentencePieceTokenizer(directory.path());
}

Ids Encode(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.Encode(text, AddSpecial::kNo);
}

class Golden : public ::testing::TestWithParam<const char*> {
 protected:
  fs::path folder() const { return kData / GetParam(); }
};

TEST_P(Golden, EncodesLikeTransformers) {
  const auto tokenizer = LoadSentencePieceTokenizer(folder());
  const Json golden = ReadJsonFile(folder() / "cases.json");
  EXPECT_EQ(tokenizer->vocabulary_size(), golden.at("size").get<int32_t>());
  ASSERT_GE(golden.at("encode").size(), 60u);
  for (const Json& row : golden.at("encode")) {
    const auto text = row.at("text").get<std::string>();
    EXPECT_EQ(tokenizer->Encode(text, AddSpecial::kYes), row.at("ids").get<Ids>()) << row.dump();
  }
}

TEST_P(Golden, DecodesLikeSentencePiece) {
  const auto tokenizer = LoadSentencePieceTokenizer(folder());
  const Json golden = ReadJsonFile(folder() / "cases.json");
  for (const Json& row : golden.at("encode")) {
    EXPECT_EQ(Decode(*tokenizer, row.at("ids").get<Ids>()), row.at("decoded").get<std::string>())
        << row.dump();
  }
}

TEST_P(Golden, KnowsItsAddedAndSpecialTokens) {
  const auto tokenizer = LoadSentencePieceTokenizer(folder());
  const Json golden = ReadJsonFile(folder() / "cases.json");
  for (const auto& [content, id] : golden.at("added_tokens").items()) {
    EXPECT_EQ(tokenizer->IdOf(content), id.get<int32_t>());
    EXPECT_EQ(tokenizer->Spelling(id.get<int32_t>()), content);
  }
  for (const Json& content : golden.at("special_tokens")) {
    EXPECT_TRUE(tokenizer->IsSpecial(tokenizer->IdOf(content.get<std::string>()))) << content;
  }
  EXPECT_EQ(tokenizer->unk_id(), 0);
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_EQ(tokenizer->pad_id(), -1);
}

INSTANTIATE_TEST_SUITE_P(SentencePieceTokenizer, Golden,
                         ::testing::Values("legacy", "non_legacy", "binocle"));

TEST(SentencePieceTokenizer, WithoutADummyPrefixTheMarksOpenThePrompt) {
  const auto tokenizer = LoadSentencePieceTokenizer(fs::path(BINOCLE_TEST_DATA) / ".." / ".." /
                                                    "models" / "binocle-tiny");
  const Ids ids = tokenizer->Encode("<image><|user|> what is it?<|assistant|>", AddSpecial::kYes);
  ASSERT_GE(ids.size(), 4u);
  EXPECT_EQ(Ids(ids.begin(), ids.begin() + 3), (Ids{1, 3, 4}));
  EXPECT_TRUE(tokenizer->Spelling(ids[3]).starts_with("▁wh")) << tokenizer->Spelling(ids[3]);
  EXPECT_EQ(ids.back(), 5);
  const Ids answered = Encode(*tokenizer, "<|assistant|> red</s><image>");
  EXPECT_EQ(answered.front(), 5);
  EXPECT_EQ(answered[answered.size() - 2], tokenizer->eos_id());
  EXPECT_EQ(answered.back(), 3);
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, " a red cat")), "a red cat");
}

TEST(SentencePieceTokenizer, BytesThatAreNoUtf8CountAsReplacementCharacters) {
  const auto tokenizer = LoadSentencePieceTokenizer(kData / "legacy");
  EXPECT_EQ(Encode(*tokenizer, "a\xFF\xC3z\xED\xA0\x80"),
            Encode(*tokenizer, "a\uFFFD\uFFFDz\uFFFD\uFFFD\uFFFD"));
  EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, std::string_view("a\0b", 3))),
            std::string_view("a\0b", 3));
}

TEST(SentencePieceTokenizer, LongTextsAreRefused) {
  const auto tokenizer = LoadSentencePieceTokenizer(kData / "legacy");
  try {
    Encode(*tokenizer, std::string(kMaxTextBytes + 1, 'a'));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kResourceExhausted);
  }
}

TEST(SentencePieceTokenizer, IdsOutsideTheVocabularyAreErrors) {
  const auto tokenizer = LoadSentencePieceTokenizer(kData / "legacy");
  EXPECT_THROW(tokenizer->Piece(-1), Error);
  EXPECT_THROW(tokenizer->Piece(321), Error);
  EXPECT_THROW(Decode(*tokenizer, Ids{5, 1 << 30}), Error);
}

TEST(SentencePieceTokenizer, RoundTripsEveryText) {
  const auto tokenizer = LoadSentencePieceTokenizer(kData / "legacy");
  for (const char* text : {"", " ", "  a  b  ", "naïve 🙂\n\t",
                           "👩‍👩‍👧‍👦 日本語", "\u0301x", "x = {1, 2}; // ok"}) {
    EXPECT_EQ(Decode(*tokenizer, Encode(*tokenizer, text)), text);
  }
}

TEST(SentencePieceTokenizer, RolesThatNoVocabularyHasAreAppended) {
  const auto tokenizer =
      LoadWith({{"tokenizer_config.json",
                 R"({"pad_token": "[PAD]", "additional_special_tokens": ["<q>"]})"}});
  EXPECT_EQ(tokenizer->pad_id(), 320);
  EXPECT_EQ(tokenizer->IdOf("<q>"), 321);
  EXPECT_EQ(tokenizer->vocabulary_size(), 322);
  EXPECT_EQ(Encode(*tokenizer, "[PAD]<q>"), (Ids{320, 321}));
}

TEST(SentencePieceTokenizer, OlderFilesCountWhereTheConfigurationListsNoTokens) {
  const auto tokenizer = LoadWith(
      {{"special_tokens_map.json", R"({"additional_special_tokens": [{"content": "<image>"}]})"},
       {"added_tokens.json", R"({"<image>": 321, "<plain>": 320})"}});
  EXPECT_EQ(tokenizer->IdOf("<image>"), 321);
  EXPECT_TRUE(tokenizer->IsSpecial(321));
  EXPECT_FALSE(tokenizer->IsSpecial(320));
  EXPECT_EQ(Decode(*tokenizer, Ids{321, 320}), "<plain>");
}

TEST(SentencePieceTokenizer, HolesInTheVocabularyAreSilent) {
  const auto tokenizer = LoadWith({{"added_tokens.json", R"({"<far>": 330})"}});
  EXPECT_EQ(tokenizer->vocabulary_size(), 331);
  EXPECT_EQ(Decode(*tokenizer, Ids{325}), "");
  EXPECT_EQ(tokenizer->IdOf(""), -1);
  EXPECT_EQ(tokenizer->IdOf("no such piece"), -1);
}

TEST(SentencePieceTokenizer, EndOfSequenceIsAddedWhenTheConfigurationSaysSo) {
  const auto tokenizer =
      LoadWith({{"tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true})"}});
  EXPECT_EQ(tokenizer->Encode("", AddSpecial::kYes), (Ids{2}));
  EXPECT_EQ(tokenizer->Encode("", AddSpecial::kNo), Ids{});
}

TEST(SentencePieceTokenizer, DamagedModelsAreErrors) {
  const std::string model = ModelBytes();
  EXPECT_EQ(LoadError({}, ""), "NOT_FOUND: tokenizer.model: no such file");
  EXPECT_TRUE(LoadError({}, "not a model")
                  .starts_with("INVALID_ARGUMENT: tokenizer.model: not a sentencepiece model"))
      << LoadError({}, "not a model");
  EXPECT_TRUE(
      LoadError({}, std::string_view("\0", 1)).starts_with("INVALID_ARGUMENT: tokenizer.model"));
  for (size_t length = 1; length < model.size(); length += 97) {
    const std::string error = LoadError({}, std::string_view(model).substr(0, length));
    // A cut between two fields leaves a smaller model, which may be a valid one.
    if (error != "no error") {
      EXPECT_TRUE(error.starts_with("INVALID_ARGUMENT: tokenizer.model"))
          << length << ": " << error;
    }
  }
}

// One entry of a model's vocabulary in protocol buffers' wire format: piece (field 1) and type (3; 1 normal, 2 unknown).
std::string ModelPiece(const std::string& text, char type) {
  const std::string piece = "\x0A" + std::string(1, static_cast<char>(text.size())) + text;
  return "\x0A" + std::string(1, static_cast<char>(piece.size() + 2)) + piece + "\x18" + type;
}

// Unigram models keep their pieces in a double array, which throws where others return an error.
TEST(SentencePieceTokenizer, APieceThatBeginsWithNulIsAnError) {
  const std::string unknown = ModelPiece("<unk>", 2);
  EXPECT_EQ(LoadError({}, unknown + ModelPiece("x", 1)), "no error");
  const std::string error = LoadError({}, unknown + ModelPiece(std::string("\0x", 2), 1));
  EXPECT_TRUE(error.starts_with("INVALID_ARGUMENT: tokenizer.model: not a sentencepiece model: "))
      << error;
}

TEST(SentencePieceTokenizer, FlippedBytesNeverCrash) {
  const std::string model = ModelBytes();
  for (size_t i = 0; i < model.size(); i += 13) {
    std::string broken = model;
    broken[i] = static_cast<char>(broken[i] ^ 0x55);
    try {
      const auto tokenizer = MakeSentencePieceTokenizer(broken, {.legacy = i % 2 == 0}, "broken");
      Decode(*tokenizer, Encode(*tokenizer, "the cat 🙂"));
    } catch (const Error&) {
    }
  }
}

TEST(SentencePieceTokenizer, ConfigurationErrorsNameFileAndKey) {
  const auto error = [](const char* json) { return LoadError({{"tokenizer_config.json", json}}); };
  EXPECT_EQ(error(R"({"added_tokens_decoder": {"-1": {"content": "a"}}})"),
            "INVALID_ARGUMENT: tokenizer_config.json: added_tokens_decoder: id -1 is out of range, "
            "expected 0 to 4194303");
  EXPECT_EQ(error(R"({"added_tokens_decoder": {"99999999999": {"content": "a"}}})"),
            "INVALID_ARGUMENT: tokenizer_config.json: added_tokens_decoder: id 99999999999 is out "
            "of range, expected 0 "
            "to 4194303");
  EXPECT_EQ(
      error(R"({"added_tokens_decoder": {"7x": {"content": "a"}}})"),
      "INVALID_ARGUMENT: tokenizer_config.json: added_tokens_decoder: key '7x' is not a token id");
  EXPECT_EQ(error(R"({"added_tokens_decoder": {"7": {"content": ""}}})"),
            "INVALID_ARGUMENT: tokenizer_config.json: added_tokens_decoder: 7: content has 0 "
            "bytes, expected 1 to 1024");
  EXPECT_EQ(error(R"({"legacy": "yes"})"),
            "INVALID_ARGUMENT: tokenizer_config.json: legacy is \"yes\", expected true or false");
  EXPECT_EQ(error(R"({"additional_special_tokens": 3})"),
            "INVALID_ARGUMENT: tokenizer_config.json: additional_special_tokens: is a JSON number, "
            "expected a list or "
            "an object");
  EXPECT_EQ(error(R"({"tokenizer_class": "GemmaTokenizer"})"),
            "UNIMPLEMENTED: tokenizer_config.json: tokenizer_class is GemmaTokenizer, supported "
            "with tokenizer.model: "
            "LlamaTokenizer");
  EXPECT_EQ(LoadError({{"added_tokens.json", R"({"<x>": "y"})"}}),
            "INVALID_ARGUMENT: added_tokens.json: <x>: is not an integer");
  EXPECT_TRUE(error("[1]").starts_with("INVALID_ARGUMENT: tokenizer_config.json: is a JSON array"));
}

std::vector<std::string> Split(const std::vector<AddedToken>& tokens, std::string_view text) {
  std::map<int32_t, AddedToken> added;
  for (const AddedToken& token : tokens) added.emplace(static_cast<int32_t>(added.size()), token);
  std::vector<std::string> out;
  for (const TextSegment& segment : AddedTokenSplitter(added).Split(text)) {
    out.push_back(segment.id >= 0 ? "[" + segment.text + "]" : segment.text);
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(AddedTokens, TheLongestMatchWins) {
  EXPECT_EQ(Split({{"ab"}, {"abc"}, {"b"}}, "xabcab b"),
            (Strings{"x", "[abc]", "[ab]", " ", "[b]"}));
  EXPECT_EQ(Split({{"<image>"}}, "<image><image>"), (Strings{"[<image>]", "[<image>]"}));
  EXPECT_EQ(Split({{"<image>"}}, "<image <image"), (Strings{"<image <image"}));
  EXPECT_EQ(Split({{"abcd"}, {"bc"}}, "abcx"), (Strings{"a", "[bc]", "x"}));
  EXPECT_TRUE(Split({{"a"}}, "").empty());
}

TEST(AddedTokens, TakeWhiteSpaceAlong) {
  EXPECT_EQ(Split({{.content = "<l>", .lstrip = true}}, "a \u3000<l> b"),
            (Strings{"a", "[<l>]", " b"}));
  EXPECT_EQ(Split({{.content = "<r>", .rstrip = true}}, "a <r> \n b"),
            (Strings{"a ", "[<r>]", "b"}));
  EXPECT_EQ(Split({{.content = "<r>", .rstrip = true}, {"\n"}}, "<r>\n"), (Strings{"[<r>]"}));
}

TEST(AddedTokens, SingleWordsStandBetweenSpaces) {
  const std::vector<AddedToken> tokens = {{.content = "cat", .single_word = true}};
  EXPECT_EQ(Split(tokens, "a cat b"), (Strings{"a ", "[cat]", " b"}));
  EXPECT_EQ(Split(tokens, "concat"), (Strings{"concat"}));
  EXPECT_EQ(Split(tokens, "cats"), (Strings{"cats"}));
}

TEST(Utf8, JudgesCharactersStrictly) {
  EXPECT_EQ(Utf8CharacterLength("é"), 2u);
  EXPECT_EQ(Utf8CharacterLength("🙂x"), 4u);
  for (const std::string_view bad : {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                                     "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", ""}) {
    EXPECT_EQ(Utf8CharacterLength(bad), 0u);
  }
  EXPECT_TRUE(IsUnfinishedCharacter("\xF0\x9F\x99"));
  EXPECT_FALSE(IsUnfinishedCharacter("\xE0\x80"));
  EXPECT_FALSE(IsUnfinishedCharacter("a"));
}

}  // namespace
}  // namespace binocle
