#include "llm/streaming_decoder.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "core/json.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

// 0 … 255 are bytes, then a few words and a special token.
class CatTokenizer final : public Tokenizer {
 public:
  static constexpr int32_t kCat = 256, kSpaceCat = 257, kSpace = 258, kSpecial = 259, kEmpty = 260,
                           kSize = 261;

  explicit CatTokenizer(LeadingSpace rule) : rule_(rule) {
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>(i);
  }

  TokenPiece Piece(int32_t id) const override {
    if (id < 0 || id >= kSize) ThrowInvalid("token id ", id);
    if (id < 256)
      return {.kind = TokenPiece::Kind::kBytes,
              .text = std::string_view(&bytes_[static_cast<size_t>(id)], 1)};
    switch (id) {
      case kCat: return {.kind = TokenPiece::Kind::kText, .text = "cat"};
      case kSpaceCat: return {.kind = TokenPiece::Kind::kText, .text = " cat", .opens_word = true};
      case kSpace: return {.kind = TokenPiece::Kind::kText, .text = " ", .opens_word = true};
      case kEmpty: return {.kind = TokenPiece::Kind::kText};
      default: return {};
    }
  }
  LeadingSpace leading_space() const override { return rule_; }
  BrokenBytes broken_bytes() const override { return BrokenBytes::kEach; }
  std::vector<int32_t> Encode(std::string_view, AddSpecial) const override { return {}; }
  std::string_view Spelling(int32_t) const override { return {}; }
  int32_t IdOf(std::string_view) const override { return -1; }
  int32_t vocabulary_size() const override { return kSize; }
  bool IsSpecial(int32_t id) const override { return id == kSpecial; }
  int32_t bos_id() const override { return -1; }
  int32_t eos_id() const override { return -1; }
  int32_t unk_id() const override { return -1; }
  int32_t pad_id() const override { return -1; }

 private:
  LeadingSpace rule_;
  std::array<char, 256> bytes_{};
};

std::string Text(LeadingSpace rule, std::vector<int32_t> ids) {
  return Decode(CatTokenizer(rule), ids);
}
std::string DropOne(std::vector<int32_t> ids) {
  return Text(LeadingSpace::kDropOne, std::move(ids));
}

using F = CatTokenizer;

TEST(StreamingDecoder, EmitsOnlyWholeCharacters) {
  const CatTokenizer tokenizer(LeadingSpace::kDropOne);
  StreamingDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(0xF0), "");
  EXPECT_EQ(decoder.Push(0x9F), "");
  EXPECT_EQ(decoder.Push(0x99), "");
  EXPECT_EQ(decoder.Push(0x82), "🙂");
  EXPECT_EQ(decoder.Push(0xC3), "");
  EXPECT_EQ(decoder.Push(F::kCat), "\uFFFDcat");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamingDecoder, UnfinishedCharactersBecomeReplacementCharacters) {
  EXPECT_EQ(DropOne({F::kCat, 0xE2, 0x82}), "cat\uFFFD\uFFFD");
  EXPECT_EQ(DropOne({0xC3, 0xC3, 0xA9}), "\uFFFDé");
  EXPECT_EQ(DropOne({0x80, 0xFF}), "\uFFFD\uFFFD");
  EXPECT_EQ(DropOne({0xED, 0xA0, 0x80}), "\uFFFD\uFFFD\uFFFD") << "surrogates are no characters";
}

TEST(StreamingDecoder, SpecialTokensAreInvisible) {
  EXPECT_EQ(DropOne({F::kSpecial, F::kSpaceCat, F::kSpecial, F::kSpaceCat}), "cat cat");
  EXPECT_EQ(DropOne({0xF0, 0x9F, F::kSpecial, 0x99, 0x82}), "🙂");
}

TEST(StreamingDecoder, TheLeadingSpaceFollowsTheRule) {
  EXPECT_EQ(DropOne({F::kSpace, F::kSpaceCat}), " cat");
  EXPECT_EQ(DropOne({F::kEmpty, F::kSpaceCat}), "cat");
  EXPECT_EQ(DropOne({F::kCat, F::kSpaceCat}), "cat cat");
  EXPECT_EQ(DropOne({' ', F::kSpaceCat}), "  cat") << "a space byte is no word's beginning";
  EXPECT_EQ(DropOne({0xC3, F::kSpaceCat}), "\uFFFD cat");
  EXPECT_EQ(Text(LeadingSpace::kDropAll, {F::kSpace, F::kSpace, F::kSpaceCat, F::kSpaceCat}),
            "cat cat");
  EXPECT_EQ(Text(LeadingSpace::kKeep, {F::kSpace, F::kSpaceCat}), "  cat");
}

TEST(StreamingDecoder, StartsAnewAfterFinish) {
  const CatTokenizer tokenizer(LeadingSpace::kDropOne);
  StreamingDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.Push(F::kSpaceCat) + decoder.Finish(), "cat");
  EXPECT_EQ(decoder.Push(F::kSpaceCat) + decoder.Finish(), "cat");
}

TEST(StreamingDecoder, AnUnknownIdIsAnErrorAndChangesNothing) {
  const CatTokenizer tokenizer(LeadingSpace::kDropOne);
  StreamingDecoder decoder(tokenizer);
  decoder.Push(0xC3);
  EXPECT_THROW(decoder.Push(F::kSize), Error);
  EXPECT_THROW(decoder.Push(-1), Error);
  EXPECT_EQ(decoder.Push(0xA9), "é");
}

TEST(StreamingDecoder, RandomBytesDecodeLikeWholeTextReplacement) {
  uint64_t state = 3;
  const auto next = [&](uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
  };
  constexpr std::array<int32_t, 12> kBytes = {0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0,
                                              0x9F, 0x99, 0xED, 0xF4, 0x41, 0xFF};
  const CatTokenizer tokenizer(LeadingSpace::kDropOne);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    std::string streamed;
    StreamingDecoder decoder(tokenizer);
    for (uint64_t n = next(9); n > 0; --n) {
      const int32_t byte = kBytes[next(kBytes.size())];
      bytes += static_cast<char>(byte);
      const std::string delta = decoder.Push(byte);
      ASSERT_TRUE(IsUtf8(delta));
      streamed += delta;
    }
    ASSERT_EQ(streamed + decoder.Finish(), ReplaceInvalidUtf8(bytes));
  }
}

// The text after n ids that the reference (sentencepiece's decode of the ids that are no added tokens) gives for every
// n.
TEST(StreamingDecoder, FollowsTheGoldenPrefixes) {
  for (const char* variant : {"legacy", "non_legacy", "binocle"}) {
    const auto folder = std::filesystem::path(BINOCLE_TEST_DATA) / "tokenizer" / variant;
    const auto tokenizer = LoadSentencePieceTokenizer(folder);
    const Json golden = ReadJsonFile(folder / "cases.json");
    for (const Json& row : golden.at("stream")) {
      const auto prefixes = row.at("prefixes").get<std::vector<std::string>>();
      StreamingDecoder decoder(*tokenizer);
      std::string text;
      size_t plain = 0;
      for (const int32_t id : row.at("ids").get<std::vector<int32_t>>()) {
        text += decoder.Push(id);
        plain += tokenizer->IsSpecial(id) ? 0 : 1;
        if (plain > 0) {
          EXPECT_TRUE(prefixes[plain - 1].starts_with(text))
              << variant << ": '" << text << "' after " << plain << " of " << row.dump();
        }
      }
      text += decoder.Finish();
      EXPECT_EQ(text, prefixes.empty() ? "" : prefixes.back()) << variant << " " << row.dump();
    }
  }
}

}  // namespace
}  // namespace binocle
