#include "llm/bpe/word_splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "core/error.h"

namespace binocle {

const std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

// What the hardest of the known patterns need for a megabyte, many times over.
constexpr uint32_t kMatchLimit = 100'000'000;
constexpr uint32_t kHeapKilobytes = 262'144;

// Unicode's White_Space. PCRE2's \s has U+180E too, which was one until Unicode 6.3.
constexpr std::string_view kSpaces =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// \s and \S by their characters, within brackets and outside.
std::string Spelled(std::string_view pattern, const std::string& where) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char kind = pattern[++i];
      if (kind == 's') {
        out += in_class ? std::string(kSpaces) : "[" + std::string(kSpaces) + "]";
      } else if (kind == 'S' && !in_class) {
        out += "[^" + std::string(kSpaces) + "]";
      } else if (kind == 'S') {
        Throw(Code::kUnimplemented, where, ": the pattern has \\S within brackets");
      } else {
        (out += c) += kind;
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

struct MatchData {
  explicit MatchData(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    if (data == nullptr || context == nullptr)
      Throw(Code::kResourceExhausted, "pattern: out of memory");
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapKilobytes);
  }
  ~MatchData() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
};

// Unicode's numeric characters, Nd, Nl and No.
const WordPattern& NumericPattern(bool individual) {
  static const WordPattern one(R"(\p{N})", "digits"), run(R"(\p{N}+)", "digits");
  return individual ? one : run;
}

void Cut(const WordPattern& pattern, bool keep_rest, std::string_view text,
         std::vector<std::string_view>& out) {
  size_t done = 0;
  const auto rest = [&](size_t end) {
    if (keep_rest && end > done) out.push_back(text.substr(done, end - done));
  };
  pattern.ForEachMatch(text, [&](size_t begin, size_t length) {
    rest(begin);
    out.push_back(text.substr(begin, length));
    done = begin + length;
  });
  rest(text.size());
}

}  // namespace

WordPattern::WordPattern(std::string_view pattern, const std::string& where) : where_(where) {
  if (pattern.empty() || pattern.size() > kMaxPatternBytes) {
    ThrowInvalid(where, ": the pattern has ", pattern.size(), " bytes, expected 1 to ",
                 kMaxPatternBytes);
  }
  const std::string spelled = Spelled(pattern, where);
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (code == nullptr) {
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(error, message, sizeof message);
    ThrowInvalid(where, ": the pattern cannot be used: ", reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it, matching is slower and the same
  code_ = std::shared_ptr<const void>(
      code, [](const void* c) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(c))); });
}

void WordPattern::ForEachMatch(std::string_view text,
                               const std::function<void(size_t, size_t)>& visit) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const MatchData match(code);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t at = 0; at < text.size();) {
    const int found =
        pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, match.data, match.context);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0)
      ThrowInvalid(where_, ": the pattern takes too long or too much memory for this text");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(match.data);
    if (ends[1] > ends[0]) visit(ends[0], ends[1] - ends[0]);
    at = ends[1] > at ? ends[1] : at + 1;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u) ++at;
  }
}

void WordSplitter::Split(std::string_view text,
                         const std::function<void(std::string_view)>& visit) const {
  std::vector<std::string_view> words = {text};
  for (const SplitStep& step : steps_) {
    std::vector<std::string_view> cut;
    for (const std::string_view word : words) {
      if (const auto* split = std::get_if<PatternSplit>(&step)) {
        Cut(split->pattern, split->keep_rest, word, cut);
      } else {
        Cut(NumericPattern(std::get<DigitSplit>(step).individual), true, word, cut);
      }
    }
    words = std::move(cut);
  }
  for (const std::string_view word : words) visit(word);
}

}  // namespace binocle
