#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "llm/constraint/compiled_constraint.h"
#include "llm/streaming_decoder.h"
#include "llm/tokenizer_sentencepiece.h"
#include "llm/utf8.h"
#include "tests/testing/errors.h"
#include "tests/testing/random.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;

constexpr float kNever = -std::numeric_limits<float>::infinity();
const fs::path kGolden = BINOCLE_TEST_DATA;

using testing::Random;

// Pieces as the test says; "▁" in front opens a word.
class FakeTokenizer final : public Tokenizer {
 public:
  FakeTokenizer(std::vector<std::string> pieces, LeadingSpace rule) : rule_(rule) {
    for (std::string& piece : pieces) {
      const bool opens = piece.starts_with("▁");
      opens_.push_back(opens);
      pieces_.push_back(opens ? " " + piece.substr(3) : piece);
    }
  }
  TokenPiece Piece(int32_t id) const override {
    const auto i = static_cast<size_t>(id);
    if (pieces_[i].starts_with("<")) return {};
    return {.kind = TokenPiece::Kind::kText, .text = pieces_[i], .opens_word = opens_[i]};
  }
  LeadingSpace leading_space() const override { return rule_; }
  BrokenBytes broken_bytes() const override { return BrokenBytes::kEach; }
  std::vector<int32_t> Encode(std::string_view, AddSpecial) const override { return {}; }
  std::string_view Spelling(int32_t) const override { return {}; }
  int32_t IdOf(std::string_view) const override { return -1; }
  int32_t vocabulary_size() const override { return static_cast<int32_t>(pieces_.size()); }
  bool IsSpecial(int32_t id) const override {
    return pieces_[static_cast<size_t>(id)].starts_with("<");
  }
  int32_t bos_id() const override { return -1; }
  int32_t eos_id() const override { return -1; }
  int32_t unk_id() const override { return -1; }
  int32_t pad_id() const override { return -1; }

 private:
  LeadingSpace rule_;
  std::vector<std::string> pieces_;
  std::vector<bool> opens_;
};

std::vector<int32_t> Allowed(const ConstrainedAnswer& answer, size_t size) {
  std::vector<float> logits(size, 1.0f);
  answer.Restrict(logits);
  std::vector<int32_t> ids;
  for (size_t i = 0; i < size; ++i) {
    if (logits[i] != kNever) ids.push_back(static_cast<int32_t>(i));
  }
  return ids;
}

std::shared_ptr<const ConstraintVocabulary> Vocabulary(const Tokenizer& tokenizer,
                                                       std::vector<int32_t> ends) {
  return std::make_shared<const ConstraintVocabulary>(tokenizer, tokenizer.vocabulary_size(), ends);
}

// The text of an answer as AnswerBuilder reports it, token by token.
class Report {
 public:
  Report(const Tokenizer& tokenizer, LeadingText leading)
      : tokenizer_(&tokenizer), decoder_(tokenizer), leading_(leading) {}

  void Push(int32_t id) {
    const TokenPiece piece = tokenizer_->Piece(id);
    std::string text = decoder_.Push(id);
    if (piece.kind == TokenPiece::Kind::kBytes) unfinished_ += piece.text;
    if (!text.empty()) unfinished_.clear();
    if (!started_ && !text.empty()) {
      started_ = true;
      if (leading_ == LeadingText::kDropSpace && text.front() == ' ') text.erase(0, 1);
    }
    text_ += text;
  }
  std::string Finish() { return text_ + decoder_.Finish(); }

  const std::string& text() const { return text_; }
  // Bytes of a character that the decoder holds back.
  const std::string& unfinished() const { return unfinished_; }

 private:
  const Tokenizer* tokenizer_;
  StreamingDecoder decoder_;
  LeadingText leading_;
  bool started_ = false;
  std::string text_;
  std::string unfinished_;
};

struct Language {
  const char* name;
  Constraint constraint;
};

std::vector<Language> Languages() {
  return {
      {"choices", Choices{{"red", "re", "blue", " blue", "  two", "réd", "日本🙂", "a cat",
                           "\n", "5", "A"}}},
      {"words", Regex{" ?[a-z]+( [a-zé]+){0,3}\\.?"}},
      {"anything", Regex{"(.|\\n)+"}},
      {"spaces", Regex{" *x? *"}},
      {"not ASCII", Regex{"[^\\x00-\\x7F]{1,4}"}},
      {"object",
       JsonSchema{
           R"({"type":"object","properties":{"a":{"enum":["red","grün"]},"n":{"type":"integer"},"s":{"type":"string"}},"required":["a"]})"}},
  };
}

struct Model {
  std::string name;
  std::unique_ptr<Tokenizer> tokenizer;
};

std::vector<Model> Models() {
  std::vector<Model> models;
  for (const char* name : {"tokenizer/legacy", "tokenizer/non_legacy", "tokenizer/binocle",
                           "../../models/binocle-tiny"})
    models.push_back({name, LoadSentencePieceTokenizer(kGolden / name)});
  // What no golden has: all leading spaces dropped.
  std::vector<std::string> pieces = {"<s>", "</s>",  "▁", "▁▁",   "▁cat", "▁re", "d", "blu",
                                     "e",   "▁blue", "é", "日本", "🙂", "\n",  "5", ""};
  for (char c = ' '; c < '\x7F'; ++c) {
    if (c != '<') pieces.emplace_back(1, c);
  }
  models.push_back({"drops all", std::make_unique<FakeTokenizer>(pieces, LeadingSpace::kDropAll)});
  models.push_back({"keeps", std::make_unique<FakeTokenizer>(pieces, LeadingSpace::kKeep)});
  return models;
}

// Against the text that the decoder and the answer make of every single token of the vocabulary, along random answers.
TEST(ConstrainedAnswer, AllowsTheTokensWhoseReportedTextGoesOn) {
  Random random(11);
  int complete = 0;
  for (const Model& model : Models()) {
    const Tokenizer& tokenizer = *model.tokenizer;
    const auto size = static_cast<size_t>(tokenizer.vocabulary_size());
    const bool fake = model.name == "drops all" || model.name == "keeps";
    const auto vocabulary = Vocabulary(tokenizer, {fake ? 1 : tokenizer.eos_id()});
    for (const auto& [name, constraint] : Languages()) {
      if (fake && std::string_view(name) != "choices") continue;  // it has few letters
      for (const LeadingText leading : {LeadingText::kKeep, LeadingText::kDropSpace}) {
        const auto compiled = CompiledConstraint::Compile(constraint, vocabulary, leading);
        const Automaton& language = compiled->tokens().automaton();
        for (int round = 0; round < 6; ++round) {
          ConstrainedAnswer answer(compiled);
          Report report(tokenizer, leading);
          int blanks = 0;
          for (int step = 0; step < 12 && !answer.Complete(); ++step) {
            const std::vector<int32_t> allowed = Allowed(answer, size);
            for (int32_t id = 0; id < static_cast<int32_t>(size); ++id) {
              const bool is_allowed = std::binary_search(allowed.begin(), allowed.end(), id);
              const auto where = [&] {
                return model.name + ", " + name + ", after '" + report.text() +
                       "': " + std::to_string(id) + " '" + std::string(tokenizer.Piece(id).text) +
                       "'";
              };
              if (vocabulary->IsEnd(id)) {
                ASSERT_EQ(is_allowed,
                          report.unfinished().empty() && language.Accepts(report.text()))
                    << where();
                continue;
              }
              Report next = report;
              next.Push(id);
              const bool blank =
                  next.text() == report.text() && next.unfinished() == report.unfinished();
              const std::string text = next.text() + next.unfinished();
              // A character that the tokens do not spell is no part of the language even where its stand-in is.
              const std::string spelt = report.unfinished() + std::string(tokenizer.Piece(id).text);
              const bool damaged = next.text().find(kReplacementCharacter, report.text().size()) !=
                                       std::string::npos &&
                                   spelt.find(kReplacementCharacter) == std::string::npos;
              const bool goes_on =
                  !damaged && language.Walk(Automaton::kStart, text) != Automaton::kDead;
              if (!blank) {
                ASSERT_EQ(is_allowed, goes_on) << where() << " gives '" << text << "'";
              } else if (is_allowed) {
                ASSERT_EQ(tokenizer.Piece(id).text, " ") << where();
              }
              ASSERT_FALSE(is_allowed && tokenizer.IsSpecial(id)) << where();
            }
            ASSERT_FALSE(allowed.empty());
            const int32_t id = allowed[random.Below(allowed.size())];
            answer.Push(id);
            if (vocabulary->IsEnd(id)) break;
            const std::string before = report.text() + report.unfinished();
            report.Push(id);
            blanks += before == report.text() + report.unfinished() ? 1 : 0;
          }
          EXPECT_LE(blanks, 2)
              << "tokens that contribute nothing are allowed only where they change something";
          if (answer.Complete()) {
            ++complete;
            EXPECT_TRUE(language.Accepts(report.Finish()))
                << model.name << ", " << name << ": '" << report.text() << "'";
          }
        }
      }
    }
  }
  EXPECT_GT(complete, 100);
}

// The text that a choice has is the answer's text, whatever tokens spell it.
TEST(ConstrainedAnswer, EveryChoiceCanBeSpelt) {
  for (const Model& model : Models()) {
    if (model.name == "drops all" || model.name == "keeps") continue;
    const Tokenizer& tokenizer = *model.tokenizer;
    const auto vocabulary = Vocabulary(tokenizer, {tokenizer.eos_id()});
    for (const char* text : {"red", "5", " blue", "  two", "réd", "日本🙂", "a cat", "\n"}) {
      for (const LeadingText leading : {LeadingText::kKeep, LeadingText::kDropSpace}) {
        ConstrainedAnswer answer(CompiledConstraint::Compile(Choices{{text}}, vocabulary, leading));
        Report report(tokenizer, leading);
        for (int step = 0; step < 40 && !answer.Complete(); ++step) {
          const auto allowed = Allowed(answer, static_cast<size_t>(tokenizer.vocabulary_size()));
          const int32_t id = allowed[static_cast<size_t>(step) % allowed.size()];
          answer.Push(id);
          report.Push(id);
        }
        EXPECT_TRUE(answer.Complete()) << model.name << ": " << text;
        EXPECT_EQ(report.Finish(), text) << model.name;
      }
    }
  }
}

TEST(ConstrainedAnswer, CanBeginWithTheTokensOfTheText) {
  const auto tokenizer = LoadSentencePieceTokenizer(kGolden / "tokenizer/legacy");
  const auto vocabulary = Vocabulary(*tokenizer, {tokenizer->eos_id()});
  ConstrainedAnswer answer(CompiledConstraint::Compile(Choices{{"5", "a red cat", "日本"}},
                                                       vocabulary, LeadingText::kDropSpace));
  for (const char* text : {"5", "a red cat", "日本"}) {
    ConstrainedAnswer own = answer;
    for (const int32_t id : tokenizer->Encode(text, AddSpecial::kNo))
      ASSERT_NO_THROW(own.Push(id)) << text;
    EXPECT_TRUE(own.Complete()) << text;
    EXPECT_FALSE(answer.Complete()) << "the copy went on, not this one";
  }
}

// a  b  ab  ▁a  ▁  <end>
FakeTokenizer Small(LeadingSpace rule = LeadingSpace::kDropOne) {
  return FakeTokenizer({"a", "b", "ab", "▁a", "▁", "<end>"}, rule);
}
constexpr int32_t kEnd = 5;

TEST(ConstrainedAnswer, EndTokensComeOnlyWhereTheTextIsComplete) {
  const FakeTokenizer tokenizer = Small();
  ConstrainedAnswer answer(
      CompiledConstraint::Compile(Regex{"ab*"}, Vocabulary(tokenizer, {kEnd}), LeadingText::kKeep));
  EXPECT_EQ(Allowed(answer, 8), (std::vector<int32_t>{0, 2, 3, 4}));
  answer.Push(0);
  EXPECT_EQ(Allowed(answer, 8), (std::vector<int32_t>{1, kEnd}));
  EXPECT_FALSE(answer.Complete());
  EXPECT_EQ(testing::ErrorOf([&] { answer.Push(0); }),
            "INTERNAL: token 0 leaves the constrained answer");
  answer.Push(kEnd);
  EXPECT_TRUE(answer.Complete());
  EXPECT_EQ(testing::ErrorOf([&] { answer.Push(1); }),
            "INTERNAL: token 1 leaves the constrained answer");
}

TEST(ConstrainedAnswer, IsCompleteWhereNothingMayFollow) {
  const FakeTokenizer tokenizer = Small();
  ConstrainedAnswer answer(CompiledConstraint::Compile(
      Choices{{"a", "abc"}}, Vocabulary(tokenizer, {}), LeadingText::kKeep));
  answer.Push(0);
  EXPECT_TRUE(answer.Complete()) << "no token leads to abc";
  EXPECT_EQ(testing::ErrorOf([&] { Allowed(answer, 6); }),
            "INTERNAL: the constrained answer is complete already");
}

TEST(ConstrainedAnswer, StaysOutOfDeadEnds) {
  const FakeTokenizer tokenizer = Small();
  const auto vocabulary = Vocabulary(tokenizer, {kEnd});
  ConstrainedAnswer answer(
      CompiledConstraint::Compile(Choices{{"aba", "bc"}}, vocabulary, LeadingText::kKeep));
  EXPECT_EQ(Allowed(answer, 6), (std::vector<int32_t>{0, 2, 3, 4})) << "b would be the end of bc";
  ConstrainedAnswer spaced(
      CompiledConstraint::Compile(Choices{{" a"}}, vocabulary, LeadingText::kKeep));
  EXPECT_EQ(Allowed(spaced, 6), (std::vector<int32_t>{4}));
  const auto error = [&](Constraint constraint) {
    return testing::ErrorOf(
        [&] { CompiledConstraint::Compile(constraint, vocabulary, LeadingText::kKeep); });
  };
  EXPECT_EQ(error(Choices{{"abc", "d"}}),
            "INVALID_ARGUMENT: choices: no token of this vocabulary continues the answer towards a "
            "complete one; next may come 'a', 'd'");
  EXPECT_EQ(error(Regex{"[^a]é"}).substr(0, 70),
            "INVALID_ARGUMENT: regex: no token of this vocabulary continues the ans");
}

TEST(ConstrainedAnswer, IdsThatAreNotSampledStayAway) {
  const FakeTokenizer tokenizer = Small();
  const auto vocabulary =
      std::make_shared<const ConstraintVocabulary>(tokenizer, 2, std::vector<int32_t>{kEnd});
  ConstrainedAnswer answer(
      CompiledConstraint::Compile(Regex{"[ab]+"}, vocabulary, LeadingText::kKeep));
  EXPECT_EQ(Allowed(answer, 6), (std::vector<int32_t>{0, 1}));
}

TEST(CompiledConstraint, NamesTheOptionAtFault) {
  const FakeTokenizer tokenizer = Small();
  const auto vocabulary = Vocabulary(tokenizer, {kEnd});
  const auto compile = [&](Constraint constraint) {
    return CompiledConstraint::Compile(constraint, vocabulary, LeadingText::kKeep);
  };
  EXPECT_EQ(compile({}), nullptr);
  const struct {
    Constraint constraint;
    const char* option;
    const char* error;
  } kCases[] = {
      {Choices{}, "choices", "INVALID_ARGUMENT: choices: has 0 texts, expected 1 to 1024"},
      {Choices{{"a", ""}}, "choices",
       "INVALID_ARGUMENT: choices: text 1 has 0 bytes, expected 1 to 1024"},
      {Choices{{std::string(1025, 'a')}}, "choices",
       "INVALID_ARGUMENT: choices: text 0 has 1025 bytes, expected 1 to 1024"},
      {Choices{{"a", "\xFF"}}, "choices",
       "INVALID_ARGUMENT: choices: text 1 is not UTF-8: '\\xff'"},
      {Regex{}, "regex", "INVALID_ARGUMENT: regex: has 0 bytes, expected 1 to 65536"},
      {Regex{"a("}, "regex", "INVALID_ARGUMENT: regex: at byte 1: '(' is never closed"},
      {JsonSchema{"3"}, "json_schema",
       "INVALID_ARGUMENT: json_schema: at #: is a JSON number, expected a schema"},
  };
  for (const auto& [constraint, option, message] : kCases) {
    try {
      compile(constraint);
      ADD_FAILURE() << message;
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), message);
      EXPECT_EQ(e.option(), option);
    }
  }
}

// Masks are made anew when there are too many of them; they are the same then.
TEST(TokenAutomaton, MasksDoNotDependOnWhatWasAskedBefore) {
  const FakeTokenizer tokenizer = Small();
  const auto vocabulary =
      std::make_shared<const ConstraintVocabulary>(tokenizer, 1 << 20, std::vector<int32_t>{kEnd});
  const auto compiled =
      CompiledConstraint::Compile(Regex{"(a{300}b){0,9}"}, vocabulary, LeadingText::kKeep);
  const TokenAutomaton& tokens = compiled->tokens();
  const auto mask = [&](int32_t state) {
    return tokens.Mask({.state = state, .phase = TokenAutomaton::Phase::kInText})->words;
  };
  std::vector<std::vector<uint64_t>> first;
  for (int32_t state = 0; state < 400; ++state) first.push_back({mask(state).front()});
  for (int32_t state = 399; state >= 0; --state)
    ASSERT_EQ(mask(state).front(), first[static_cast<size_t>(state)][0]);
}

}  // namespace
}  // namespace binocle
