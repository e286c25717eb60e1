#include "llm/constraint/regex_parser.h"

#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "llm/utf8.h"

namespace binocle {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

CodePoints Digits() { return CodePoints::Range('0', '9'); }

CodePoints WordCharacters() {
  CodePoints set = Digits();
  set.Add('A', 'Z');
  set.Add('a', 'z');
  set.Add('_', '_');
  return set;
}

CodePoints SpaceClass() {
  CodePoints set = CodePoints::Range('\t', '\r');
  set.Add(' ', ' ');
  return set;
}

// \d and its relatives.
std::optional<CodePoints> ClassEscape(char c) {
  switch (c) {
    case 'd': return Digits();
    case 'D': return Digits().Complement();
    case 'w': return WordCharacters();
    case 'W': return WordCharacters().Complement();
    case 's': return SpaceClass();
    case 'S': return SpaceClass().Complement();
    default: return std::nullopt;
  }
}

std::optional<char32_t> ControlEscape(char c) {
  switch (c) {
    case 'n': return U'\n';
    case 't': return U'\t';
    case 'r': return U'\r';
    case 'f': return U'\f';
    case 'v': return U'\v';
    default: return std::nullopt;
  }
}

// What \c would be in other dialects; empty: nothing.
std::string_view ForeignEscape(char c) {
  if (c >= '1' && c <= '9') return "back references";
  switch (c) {
    case 'k':
    case 'g': return "back references";
    case 'b':
    case 'B': return "word boundaries";
    case 'p':
    case 'P': return "Unicode properties";
    case 'A':
    case 'z':
    case 'Z': return "anchors other than ^ and $";
    default: return "";
  }
}

// What (?… is when it is no group.
std::string_view ForeignGroup(std::string_view rest) {
  if (rest.starts_with("=") || rest.starts_with("!") || rest.starts_with("<=") ||
      rest.starts_with("<!"))
    return "look-around";
  if (rest.starts_with("P=")) return "back references";
  if (rest.starts_with(">")) return "atomic groups";
  if (rest.starts_with("(")) return "conditions";
  if (rest.starts_with("#")) return "comments";
  return "flags";
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : pattern_(pattern) {}

  ParsedRegex Parse() {
    ParsedRegex regex;
    do {
      RegexBranch& branch = regex.branches.emplace_back();
      branch.anchored_front = Take('^');
      branch.node = Sequence();
      branch.anchored_back = Take('$');
      if (!AtEnd() && Peek() == ')') Invalid(at_, "')' closes no group");
      if (!AtEnd() && Peek() != '|')
        Unimplemented(at_ - 1, "$ anywhere but at the end of the pattern");
    } while (Take('|'));
    return regex;
  }

 private:
  bool AtEnd() const { return at_ == pattern_.size(); }
  char Peek() const { return pattern_[at_]; }
  std::string_view Rest() const { return pattern_.substr(at_); }
  bool Take(char c) {
    if (AtEnd() || Peek() != c) return false;
    ++at_;
    return true;
  }

  template <typename... Parts>
  [[noreturn]] static void Invalid(size_t at, const Parts&... parts) {
    ThrowInvalid("at byte ", at, ": ", parts...);
  }
  [[noreturn]] static void Unimplemented(size_t at, std::string_view construct) {
    Throw(Code::kUnimplemented, "at byte ", at, ": ", construct,
          " are outside the supported dialect (docs/constraints.md)");
  }

  RegexNode AnyOf() {
    std::vector<RegexNode> branches;
    do branches.push_back(Sequence());
    while (Take('|'));
    if (branches.size() == 1) return std::move(branches[0]);
    return {.kind = RegexNode::Kind::kAnyOf, .children = std::move(branches)};
  }

  // Up to what ends a sequence: | ) $ or the pattern's end.
  RegexNode Sequence() {
    RegexNode sequence;
    while (!AtEnd() && Peek() != '|' && Peek() != ')' && Peek() != '$') {
      RegexNode item = Item();
      if (std::optional<RegexNode> repeat = Quantifier()) {
        repeat->children.push_back(std::move(item));
        item = std::move(*repeat);
        Lazy();
        if (!AtEnd() && (Peek() == '*' || Peek() == '?' || Peek() == '+' || Peek() == '{'))
          Invalid(at_, "'", Peek(), "' repeats a repetition; put it into a group");
      }
      sequence.children.push_back(std::move(item));
    }
    return sequence;
  }

  RegexNode Item() {
    const size_t at = at_;
    switch (Peek()) {
      case '(': return Group();
      case '[': ++at_; return Character(Class(at));
      case '.': ++at_; return Character(CodePoints::Range('\n', '\n').Complement());
      case '\\': return Character(Escape());
      case '^': Unimplemented(at, "^ anywhere but at the beginning of the pattern");
      case '*':
      case '+':
      case '?': Invalid(at, "'", Peek(), "' repeats nothing; a literal one is \\", Peek());
      case '{': Invalid(at, "'{' repeats nothing; a literal one is \\{");
      default: return Character(Literal());
    }
  }

  static RegexNode Character(CodePoints set) {
    return {.kind = RegexNode::Kind::kCharacter, .set = std::move(set)};
  }

  CodePoints Literal() {
    const DecodedCharacter c = DecodeCharacter(Rest());
    at_ += c.bytes;
    return CodePoints::Range(c.code_point, c.code_point);
  }

  RegexNode Group() {
    const size_t open = at_++;
    if (++nesting_ > kMaxRegexNesting) {
      Throw(Code::kResourceExhausted, "at byte ", open, ": groups are nested deeper than ",
            kMaxRegexNesting, " levels");
    }
    if (Take('?')) GroupName(open);
    RegexNode node = AnyOf();
    if (!AtEnd() && Peek() == '$') Unimplemented(at_, "$ anywhere but at the end of the pattern");
    if (!Take(')')) Invalid(open, "'(' is never closed");
    --nesting_;
    return node;
  }

  // After "(?": ":" or a name.
  void GroupName(size_t open) {
    if (Take(':')) return;
    const bool named =
        Rest().starts_with("P<") ||
        (Rest().starts_with("<") && !Rest().starts_with("<=") && !Rest().starts_with("<!"));
    if (!named) Unimplemented(open, ForeignGroup(Rest()));
    at_ = pattern_.find('<', at_) + 1;
    const size_t name = at_;
    while (!AtEnd() && (IsLetter(Peek()) || IsDigit(Peek()) || Peek() == '_')) ++at_;
    if (at_ == name || !Take('>'))
      Invalid(open, "the group's name is not letters, digits and _ between < and >");
  }

  std::optional<RegexNode> Quantifier() {
    const auto repeat = [](int min, int max) {
      return RegexNode{.kind = RegexNode::Kind::kRepeat, .min = min, .max = max};
    };
    if (Take('*')) return repeat(0, RegexNode::kUnbounded);
    if (Take('+')) return repeat(1, RegexNode::kUnbounded);
    if (Take('?')) return repeat(0, 1);
    const size_t open = at_;
    if (!Take('{')) return std::nullopt;
    const int min = Count(open);
    int max = min;
    if (Take(',')) max = !AtEnd() && Peek() == '}' ? RegexNode::kUnbounded : Count(open);
    if (!Take('}')) BadCount(open);
    if (max != RegexNode::kUnbounded && max < min)
      Invalid(open, "{", min, ",", max, "} has its bounds the wrong way round");
    return repeat(min, max);
  }

  [[noreturn]] static void BadCount(size_t open) {
    Invalid(open, "expected {m}, {m,} or {m,n}; a literal brace is \\{");
  }

  int Count(size_t open) {
    if (AtEnd() || !IsDigit(Peek())) BadCount(open);
    int count = 0;
    for (; !AtEnd() && IsDigit(Peek()); ++at_) {
      count = count * 10 + (Peek() - '0');
      if (count > kMaxRegexRepeat)
        Throw(Code::kResourceExhausted, "at byte ", open, ": repeats more than ", kMaxRegexRepeat,
              " times, the limit");
    }
    return count;
  }

  // After a quantifier: a lazy one matches the same texts.
  void Lazy() {
    if (!AtEnd() && Peek() == '+') Unimplemented(at_, "possessive repetitions");
    Take('?');
  }

  // From a backslash on.
  CodePoints Escape() {
    const size_t at = at_++;
    if (AtEnd()) Invalid(at, "the pattern ends with a lone backslash");
    const char c = Peek();
    if (auto set = ClassEscape(c)) {
      ++at_;
      return *std::move(set);
    }
    const char32_t code_point = CharacterEscape(at);
    return CodePoints::Range(code_point, code_point);
  }

  // The same where at_ stands behind the backslash and one character is meant.
  char32_t CharacterEscape(size_t at) {
    const char c = Peek();
    if (const auto control = ControlEscape(c)) {
      ++at_;
      return *control;
    }
    if (c == 'x') return Hex(at, 2);
    if (c == 'u') return Hex(at, 4);
    if (const auto foreign = ForeignEscape(c); !foreign.empty()) Unimplemented(at, foreign);
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7F || IsLetter(c) || IsDigit(c))
      Invalid(at, "unknown escape \\", DecodeCharacter(Rest()).bytes == 1 ? std::string(1, c) : "");
    ++at_;
    return static_cast<char32_t>(c);
  }

  char32_t Hex(size_t at, int digits) {
    const char kind = pattern_[at_++];
    if (kind == 'u' && !AtEnd() && Peek() == '{') Unimplemented(at, "\\u{…} escapes");
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      if (AtEnd() || !(IsDigit(Peek()) || (IsLetter(Peek()) && (Peek() | 0x20) <= 'f')))
        Invalid(at, "\\", kind, " needs ", digits, " hexadecimal digits");
      const char c = pattern_[at_++];
      value = value * 16 + static_cast<char32_t>(IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (value >= 0xD800 && value <= 0xDFFF) Invalid(at, "a surrogate is no character");
    return value;
  }

  // After '['; `open` is where it stands.
  CodePoints Class(size_t open) {
    const bool negated = Take('^');
    if (!AtEnd() && Peek() == ']') Invalid(open, "an empty class; a literal ] is \\]");
    CodePoints set;
    std::vector<CodePoints::Interval> single;  // added at once: each Add sorts
    while (!Take(']')) {
      if (AtEnd()) Invalid(open, "'[' is never closed");
      if (Rest().starts_with("[:")) Unimplemented(at_, "POSIX classes");
      ClassItem(set, single);
    }
    set.Add(CodePoints::Of(single));
    return negated ? set.Complement() : set;
  }

  void ClassItem(CodePoints& set, std::vector<CodePoints::Interval>& single) {
    const size_t at = at_;
    const std::optional<char32_t> low = ClassCharacter(set);
    const bool range = Rest().size() >= 2 && Peek() == '-' && Rest()[1] != ']';
    if (!range) {
      if (low) single.push_back({*low, *low});
      return;
    }
    ++at_;
    CodePoints ignored;
    const std::optional<char32_t> high = ClassCharacter(ignored);
    if (!low || !high) Invalid(at, "a range whose end is a class");
    if (*high < *low) Invalid(at, "a range with its ends the wrong way round");
    single.push_back({*low, *high});
  }

  // A character of a class, or nothing after a class escape, which is added to `set`.
  std::optional<char32_t> ClassCharacter(CodePoints& set) {
    if (Peek() != '\\') {
      const DecodedCharacter c = DecodeCharacter(Rest());
      at_ += c.bytes;
      return c.code_point;
    }
    const size_t at = at_++;
    if (AtEnd()) Invalid(at, "the pattern ends with a lone backslash");
    if (const auto escaped = ClassEscape(Peek())) {
      ++at_;
      set.Add(*escaped);
      return std::nullopt;
    }
    return CharacterEscape(at);
  }

  std::string_view pattern_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace

ParsedRegex ParseRegex(std::string_view pattern) {
  if (!IsUtf8(pattern)) ThrowInvalid("is not UTF-8");
  return Parser(pattern).Parse();
}

}  // namespace binocle
