#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <set>

#include "core/error.h"
#include "llm/constraint/automaton.h"
#include "llm/constraint/regex_parser.h"
#include "llm/utf8.h"
#include "tests/testing/errors.h"
#include "tests/testing/random.h"

namespace binocle {
namespace {

Automaton Compile(std::string_view pattern) {
  Nfa nfa;
  nfa.Accept(nfa.AddRegex(Nfa::kStart, ParseRegex(pattern)));
  return Determinize(nfa);
}

std::string ErrorOf(const std::string& pattern) {
  return testing::ErrorOf([&] { Compile(pattern); });
}

std::string Encode(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  if (c < 0x10000)
    return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
            static_cast<char>(0x80 | (c & 0x3F))};
  return {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
          static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
}

using testing::Random;

// An expression with what it means by definition: where in a text a match that begins at `from` may end.
struct Sample {
  using Ends = std::set<size_t>;
  std::string pattern;
  std::function<Ends(std::string_view text, size_t from)> ends;
};

Sample Characters(const std::string& pattern, const std::string& characters) {
  return {pattern, [=](std::string_view text, size_t from) {
            const bool fits =
                from < text.size() && characters.find(text[from]) != std::string::npos;
            return fits ? Sample::Ends{from + 1} : Sample::Ends{};
          }};
}

Sample Join(const Sample& a, const Sample& b) {
  return {a.pattern + b.pattern, [=](std::string_view text, size_t from) {
            Sample::Ends ends;
            for (const size_t middle : a.ends(text, from)) ends.merge(b.ends(text, middle));
            return ends;
          }};
}

Sample Either(const Sample& a, const Sample& b) {
  return {"(" + a.pattern + "|" + b.pattern + ")", [=](std::string_view text, size_t from) {
            Sample::Ends ends = a.ends(text, from);
            ends.merge(b.ends(text, from));
            return ends;
          }};
}

// max 99 is endless: texts are shorter.
Sample Repeated(const Sample& a, const std::string& quantifier, size_t min, size_t max) {
  return {"(?:" + a.pattern + ")" + quantifier, [=](std::string_view text, size_t from) {
            Sample::Ends ends;
            Sample::Ends now = {from};
            for (size_t i = 0; i <= std::min(max, min + 8); ++i) {
              if (i >= min) ends.insert(now.begin(), now.end());
              Sample::Ends next;
              for (const size_t at : now) next.merge(a.ends(text, at));
              now = next;
            }
            return ends;
          }};
}

Sample RandomSample(Random& random, int depth) {
  const auto sub = [&] { return RandomSample(random, depth - 1); };
  switch (random.Below(depth > 0 ? 12 : 5)) {
    case 0: return Characters("a", "a");
    case 1: return Characters("b", "b");
    case 2: return Characters(".", "abc");
    case 3: return Characters("[^a-b]", "c");
    case 4: return Characters("[cb]", "bc");
    case 5: return Either(sub(), sub());
    case 6: return Repeated(sub(), "*", 0, 99);
    case 7: return Repeated(sub(), "+?", 1, 99);
    case 8: return Repeated(sub(), "?", 0, 1);
    case 9: {
      const size_t min = random.Below(3);
      const size_t max = min + random.Below(3);
      return Repeated(sub(), "{" + std::to_string(min) + "," + std::to_string(max) + "}", min, max);
    }
    case 10:
      return Repeated(Either(Repeated(Characters("a", "a"), "{0}", 0, 0), sub()), "{2,}", 2, 99);
    default: return Join(sub(), sub());
  }
}

std::string RandomPattern(Random& random, int depth) { return RandomSample(random, depth).pattern; }

TEST(ConstraintRegex, MatchesByDefinition) {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; texts.back().size() < 5; ++i) {
    for (const char c : {'a', 'b', 'c'}) texts.push_back(texts[i] + c);
  }
  Random random(5);
  size_t matches = 0;
  size_t compared = 0;
  for (int round = 0; round < 150; ++round) {
    const Sample sample = RandomSample(random, 3);
    std::optional<Automaton> automaton;
    const std::string error = testing::ErrorOf([&] { automaton = Compile(sample.pattern); });
    if (!automaton) {
      ASSERT_NE(error.find("the empty text only"), std::string::npos) << sample.pattern;
      continue;
    }
    for (const std::string& text : texts) {
      const bool expected = sample.ends(text, 0).contains(text.size());
      ASSERT_EQ(automaton->Accepts(text), expected) << sample.pattern << " on '" << text << "'";
      matches += expected ? 1 : 0;
      ++compared;
    }
  }
  EXPECT_GT(matches, 1500u);
  EXPECT_GT(compared - matches, 3000u);
}

TEST(ConstraintRegex, EveryStateIsReachedAndLeadsToTheEnd) {
  Random random(6);
  for (int round = 0; round < 200; ++round) {
    const std::string pattern = RandomPattern(random, 3) + "[^a]";
    const Automaton automaton = Compile(pattern);
    std::vector<bool> reached(static_cast<size_t>(automaton.size()));
    reached[0] = true;
    for (int32_t s = 0; s < automaton.size(); ++s) {
      int before = -1;
      for (const auto& edge : automaton.edges(s)) {
        ASSERT_GT(int{edge.low}, before) << pattern;
        ASSERT_LE(edge.low, edge.high);
        before = edge.high;
        reached[static_cast<size_t>(edge.target)] = true;
      }
      ASSERT_TRUE(automaton.accepting(s) || !automaton.edges(s).empty()) << pattern;
    }
    EXPECT_EQ(std::count(reached.begin(), reached.end(), false), 0) << pattern;
  }
}

TEST(ConstraintRegex, AClassHoldsExactlyItsCodePoints) {
  const struct {
    const char* pattern;
    bool (*holds)(char32_t);
  } kCases[] = {
      {".", [](char32_t c) { return c != '\n'; }},
      {"[^a-zé]", [](char32_t c) { return !(c >= 'a' && c <= 'z') && c != U'é'; }},
      {"[α-ω🙂]", [](char32_t c) { return (c >= U'α' && c <= U'ω') || c == U'🙂'; }},
      {"[\\u07F0-\\uFFF1]", [](char32_t c) { return c >= 0x7F0 && c <= 0xFFF1; }},
      {"[\\x7F-🙂]", [](char32_t c) { return c >= 0x7F && c <= U'🙂'; }},
      {"\\W",
       [](char32_t c) { return c >= 0x80 || (!std::isalnum(static_cast<int>(c)) && c != '_'); }},
      {"[\\d\\]\\-x-]",
       [](char32_t c) { return (c >= '0' && c <= '9') || c == ']' || c == '-' || c == 'x'; }},
      {"[^\\D5]", [](char32_t c) { return c >= '0' && c <= '9' && c != '5'; }},
      {"\\s", [](char32_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }},
  };
  for (const auto& [pattern, holds] : kCases) {
    const Automaton automaton = Compile(pattern);
    for (char32_t c = 0; c <= 0x110010;
         c += c < 0x3000 || (c > 0xD700 && c < 0xE100) || c > 0xFF00 ? 1 : 7) {
      const bool exists = (c < 0xD800 || c > 0xDFFF) && c <= 0x10FFFF;
      ASSERT_EQ(automaton.Accepts(Encode(c)), exists && holds(c))
          << pattern << " on " << uint32_t{c};
    }
  }
}

TEST(ConstraintRegex, TextsAreUtf8Always) {
  const Automaton any = Compile("[^\\x00]|\\x00");
  std::string text(3, ' ');
  for (uint32_t bytes = 0; bytes < 1u << 24;
       bytes += 11) {  // 11 divides no power of two: every byte at every place
    for (size_t i = 0; i < 3; ++i) text[i] = static_cast<char>(bytes >> (8 * i));
    for (size_t n = 1; n <= 3; ++n) {
      const std::string_view front = std::string_view(text).substr(0, n);
      const bool one = Utf8CharacterLength(front) == n;
      ASSERT_EQ(any.Accepts(front), one) << Printable(front);
      ASSERT_EQ(any.Walk(Automaton::kStart, front) != Automaton::kDead,
                one || IsUnfinishedCharacter(front))
          << Printable(front);
    }
  }
}

TEST(ConstraintRegex, ReadsItsDialect) {
  const struct {
    const char* pattern;
    std::vector<std::string> yes;
    std::vector<std::string> no;
  } kCases[] = {
      {"^(?P<year>\\d{4})-(?<month>\\d\\d)$", {"2026-11"}, {"2026-1", "2026-11 "}},
      {"^a|b$", {"a", "b"}, {"ab", ""}},
      {"x{2}", {"xx"}, {"x", "xxx"}},
      {"x{2,}", {"xx", "xxxxxxxxx"}, {"x"}},
      {"x{0}y", {"y"}, {"xy"}},
      {"a??b*?c+?d{1,2}?", {"acd", "cdd", "abbccd"}, {"aacd", "ab"}},
      {"\\n\\t\\r\\f\\v\\x41\\u00e9\\/\\.", {"\n\t\r\f\vAé/."}, {}},
      {"a\\$\\^\\{\\}]}", {"a$^{}]}"}, {}},
      {"(|a)b", {"b", "ab"}, {"a"}},
      {"[a\\n-\\r^-]+", {"a\n\r\v^-"}, {"\t"}},
      {"日(本|曜)+🙂", {"日本🙂", "日曜本🙂"}, {"日🙂"}},
  };
  for (const auto& [pattern, yes, no] : kCases) {
    const Automaton automaton = Compile(pattern);
    for (const std::string& text : yes)
      EXPECT_TRUE(automaton.Accepts(text)) << pattern << " on " << text;
    for (const std::string& text : no)
      EXPECT_FALSE(automaton.Accepts(text)) << pattern << " on " << text;
  }
}

TEST(ConstraintRegex, NamesWhatIsOutsideTheDialect) {
  const auto outside = [](int at, const std::string& what) {
    return "UNIMPLEMENTED: at byte " + std::to_string(at) + ": " + what +
           " are outside the supported dialect (docs/constraints.md)";
  };
  EXPECT_EQ(ErrorOf("(a)\\1"), outside(3, "back references"));
  EXPECT_EQ(ErrorOf("(?P<n>a)(?P=n)"), outside(8, "back references"));
  EXPECT_EQ(ErrorOf("é(?=a)"), outside(2, "look-around"));
  EXPECT_EQ(ErrorOf("(?!a)b"), outside(0, "look-around"));
  EXPECT_EQ(ErrorOf("(?<=a)b"), outside(0, "look-around"));
  EXPECT_EQ(ErrorOf("(?<!a)b"), outside(0, "look-around"));
  EXPECT_EQ(ErrorOf("\\p{L}"), outside(0, "Unicode properties"));
  EXPECT_EQ(ErrorOf("[\\P{L}]"), outside(1, "Unicode properties"));
  EXPECT_EQ(ErrorOf("a\\b"), outside(1, "word boundaries"));
  EXPECT_EQ(ErrorOf("(?i)a"), outside(0, "flags"));
  EXPECT_EQ(ErrorOf("(?>a)"), outside(0, "atomic groups"));
  EXPECT_EQ(ErrorOf("a++"), outside(2, "possessive repetitions"));
  EXPECT_EQ(ErrorOf("a{2}+"), outside(4, "possessive repetitions"));
  EXPECT_EQ(ErrorOf("a^b"), outside(1, "^ anywhere but at the beginning of the pattern"));
  EXPECT_EQ(ErrorOf("a$b"), outside(1, "$ anywhere but at the end of the pattern"));
  EXPECT_EQ(ErrorOf("(a$)"), outside(2, "$ anywhere but at the end of the pattern"));
  EXPECT_EQ(ErrorOf("[[:alpha:]]"), outside(1, "POSIX classes"));
  EXPECT_EQ(ErrorOf("\\u{1F600}"), outside(0, "\\u{…} escapes"));
}

TEST(ConstraintRegex, NamesMistakesAndTheirPlace) {
  const auto at = [](int byte, const std::string& what) {
    return "INVALID_ARGUMENT: at byte " + std::to_string(byte) + ": " + what;
  };
  EXPECT_EQ(ErrorOf("a(b"), at(1, "'(' is never closed"));
  EXPECT_EQ(ErrorOf("ab)"), at(2, "')' closes no group"));
  EXPECT_EQ(ErrorOf("a[b"), at(1, "'[' is never closed"));
  EXPECT_EQ(ErrorOf("[]"), at(0, "an empty class; a literal ] is \\]"));
  EXPECT_EQ(ErrorOf("*a"), at(0, "'*' repeats nothing; a literal one is \\*"));
  EXPECT_EQ(ErrorOf("(+a)"), at(1, "'+' repeats nothing; a literal one is \\+"));
  EXPECT_EQ(ErrorOf("a**"), at(2, "'*' repeats a repetition; put it into a group"));
  EXPECT_EQ(ErrorOf("a{2"), at(1, "expected {m}, {m,} or {m,n}; a literal brace is \\{"));
  EXPECT_EQ(ErrorOf("a{,2}"), at(1, "expected {m}, {m,} or {m,n}; a literal brace is \\{"));
  EXPECT_EQ(ErrorOf("{2}"), at(0, "'{' repeats nothing; a literal one is \\{"));
  EXPECT_EQ(ErrorOf("a{3,2}"), at(1, "{3,2} has its bounds the wrong way round"));
  EXPECT_EQ(ErrorOf("[b-a]"), at(1, "a range with its ends the wrong way round"));
  EXPECT_EQ(ErrorOf("[\\d-a]"), at(1, "a range whose end is a class"));
  EXPECT_EQ(ErrorOf("\\q"), at(0, "unknown escape \\q"));
  EXPECT_EQ(ErrorOf("a\\"), at(1, "the pattern ends with a lone backslash"));
  EXPECT_EQ(ErrorOf("\\x4"), at(0, "\\x needs 2 hexadecimal digits"));
  EXPECT_EQ(ErrorOf("\\uD800"), at(0, "a surrogate is no character"));
  EXPECT_EQ(ErrorOf("\xFF"), "INVALID_ARGUMENT: is not UTF-8");
  EXPECT_EQ(ErrorOf("[^\\s\\S]"), "INVALID_ARGUMENT: allows no text at all");
  EXPECT_EQ(ErrorOf("^$"),
            "INVALID_ARGUMENT: allows the empty text only, expected at least one character");
}

TEST(ConstraintRegex, HostilePatternsRunIntoLimits) {
  const std::string many(60000, '(');
  EXPECT_EQ(ErrorOf(many),
            "RESOURCE_EXHAUSTED: at byte 200: groups are nested deeper than 200 levels");
  EXPECT_EQ(ErrorOf("a{1001}"),
            "RESOURCE_EXHAUSTED: at byte 1: repeats more than 1000 times, the limit");
  EXPECT_EQ(ErrorOf("a{99999999999999999999}"),
            "RESOURCE_EXHAUSTED: at byte 1: repeats more than 1000 times, the limit");
  for (const char* pattern : {
           "((a{1000}){1000}){1000}",
           "((){1000}){1000}",
           "((a?){1000}){1000}",
           "(a|b)*a(a|b){40}",
           "(a?){1000}(b?){1000}[^a]{1000}",
           "((.{0,100}x){0,100}y){0,100}",
           "(\\w|[^x]|.y){1000}",
       }) {
    EXPECT_TRUE(ErrorOf(pattern).starts_with("RESOURCE_EXHAUSTED: "))
        << pattern << ": " << ErrorOf(pattern);
  }
}

TEST(ConstraintRegex, EqualTailsAreOneState) {
  EXPECT_EQ(Compile("(abcd|xbcd|ybcd)").size(), Compile("[axy]bcd").size());
  EXPECT_EQ(Compile("(ab*|cb*)").size(), Compile("[ac]b*").size());
  EXPECT_LE(Compile(".*").size(), 9);
  EXPECT_LE(Compile(".{0,1000}").size(), 8008);
}

TEST(ConstraintChoices, AreTheTextsAndNothingElse) {
  const std::vector<std::string> texts = {"red",  "re",  "réd",
                                          "blue", "red", std::string("a\0b", 3)};
  const Automaton automaton = AnyOfTexts(texts);
  for (const std::string& text : texts) EXPECT_TRUE(automaton.Accepts(text));
  for (const char* text : {"", "r", "reds", "a", "blu", "green"})
    EXPECT_FALSE(automaton.Accepts(text));
  EXPECT_EQ(automaton.Expected(Automaton::kStart), "'a', 'b', 'r'");
  EXPECT_EQ(automaton.Expected(automaton.Walk(Automaton::kStart, "re")), "'d'");
}

}  // namespace
}  // namespace binocle
