#include "llm/constraint/json_grammar.h"

#include <algorithm>
#include <string>
#include <utility>

namespace binocle {
namespace {

using Kind = RegexNode::Kind;

// Characters with an escape, and the letter of it.
struct Escape {
  char32_t character;
  char letter;
};
constexpr Escape kEscapes[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                               {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

RegexNode Character(CodePoints set) { return {.kind = Kind::kCharacter, .set = std::move(set)}; }
RegexNode Character(char c) {
  const auto code_point = static_cast<char32_t>(static_cast<unsigned char>(c));
  return Character(CodePoints::Range(code_point, code_point));
}
RegexNode Sequence(std::vector<RegexNode> children) {
  return {.kind = Kind::kSequence, .children = std::move(children)};
}
RegexNode AnyOf(std::vector<RegexNode> children) {
  return {.kind = Kind::kAnyOf, .children = std::move(children)};
}
RegexNode Repeat(RegexNode child, int min, int max) {
  RegexNode node{.kind = Kind::kRepeat, .min = min, .max = max};
  node.children.push_back(std::move(child));
  return node;
}

// One character of the set as it is written in a string.
RegexNode Spelled(const CodePoints& set) {
  CodePoints escaped = CodePoints::Range(0, 0x1F);
  CodePoints letters;
  for (const Escape& escape : kEscapes) {
    escaped.Add(escape.character, escape.character);
    const auto letter = static_cast<char32_t>(escape.letter);
    if (set.Contains(escape.character)) letters.Add(letter, letter);
  }
  RegexNode plain = Character(set.Without(escaped));
  if (letters.intervals().empty()) return plain;
  return AnyOf({std::move(plain), Sequence({Character('\\'), Character(std::move(letters))})});
}

RegexNode Spelled(const RegexNode& node) {
  if (node.kind == Kind::kCharacter) return Spelled(node.set);
  RegexNode spelled{.kind = node.kind, .min = node.min, .max = node.max};
  for (const RegexNode& child : node.children) spelled.children.push_back(Spelled(child));
  return spelled;
}

RegexNode Digits(char low, char high) {
  return Character(CodePoints::Range(static_cast<char32_t>(low), static_cast<char32_t>(high)));
}

// The digit strings low … high, both of one length.
RegexNode DigitsBetween(std::string_view low, std::string_view high) {
  const size_t n = low.size();
  const auto all = [](std::string_view text, char c) {
    return std::count(text.begin(), text.end(), c) == std::ssize(text);
  };
  if (all(low, '0') && all(high, '9'))
    return Repeat(Digits('0', '9'), static_cast<int>(n), static_cast<int>(n));
  if (low[0] == high[0])
    return Sequence({Character(low[0]), DigitsBetween(low.substr(1), high.substr(1))});
  const std::string nines(n - 1, '9');
  const std::string zeros(n - 1, '0');
  std::vector<RegexNode> branches;
  branches.push_back(Sequence({Character(low[0]), DigitsBetween(low.substr(1), nines)}));
  branches.push_back(Sequence({Character(high[0]), DigitsBetween(zeros, high.substr(1))}));
  if (low[0] + 1 < high[0])
    branches.push_back(
        Sequence({Digits(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)),
                  DigitsBetween(zeros, nines)}));
  return AnyOf(std::move(branches));
}

// The numerals of low … high, 0 ≤ low ≤ high: one alternative for each length.
RegexNode Numerals(int64_t low, int64_t high) {
  std::vector<RegexNode> branches;
  for (int64_t shortest = 0, longest = 9;; shortest = longest + 1, longest = longest * 10 + 9) {
    const int64_t from = std::max(low, shortest);
    const int64_t to = std::min(high, longest);
    if (from <= to) branches.push_back(DigitsBetween(std::to_string(from), std::to_string(to)));
    if (longest >= high) return AnyOf(std::move(branches));
  }
}

constexpr std::string_view kDate =
    R"((\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    R"()|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29))";
constexpr std::string_view kTime =
    R"((([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)))";
constexpr std::string_view kUuid = R"([0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})";
constexpr std::string_view kNumber =
    R"(-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?)";

// An expression without alternatives outside groups.
RegexNode Parsed(std::string_view pattern) {
  return std::move(ParseRegex(pattern).branches[0].node);
}

}  // namespace

RegexNode JsonCharacters(int min, int max) { return Repeat(Spelled(CodePoints::All()), min, max); }

RegexNode JsonCharactersMatching(const ParsedRegex& regex) {
  const RegexNode anything = JsonCharacters(0, RegexNode::kUnbounded);
  std::vector<RegexNode> branches;
  for (const RegexBranch& branch : regex.branches) {
    RegexNode& sequence = branches.emplace_back();
    if (!branch.anchored_front) sequence.children.push_back(anything);
    sequence.children.push_back(Spelled(branch.node));
    if (!branch.anchored_back) sequence.children.push_back(anything);
  }
  return AnyOf(std::move(branches));
}

RegexNode JsonInteger(int64_t low, int64_t high) {
  std::vector<RegexNode> branches;
  if (high >= 0) branches.push_back(Numerals(std::max<int64_t>(low, 0), high));
  if (low < 0)
    branches.push_back(Sequence({Character('-'), Numerals(std::max<int64_t>(-high, 1), -low)}));
  return AnyOf(std::move(branches));
}

RegexNode JsonNumber() { return Parsed(kNumber); }

std::optional<RegexNode> JsonFormat(std::string_view name) {
  if (name == "date") return Parsed(kDate);
  if (name == "time") return Parsed(kTime);
  if (name == "date-time") return Parsed(std::string(kDate) + "T" + std::string(kTime));
  if (name == "uuid") return Parsed(kUuid);
  return std::nullopt;
}

}  // namespace binocle
