// Cuts a text into the words that byte pair encoding looks at one by one: what tokenizer.json calls a pre-tokenizer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace binocle {

// A compiled regular expression (PCRE2) with the meaning that Oniguruma, which tokenizers uses, gives it. Immutable.
class WordPattern {
 public:
  static constexpr size_t kMaxPatternBytes = 4096;

  // INVALID_ARGUMENT, with `where`, for what cannot be compiled.
  WordPattern(std::string_view pattern, const std::string& where);

  // Matches in order, none of them empty: first byte and length. INVALID_ARGUMENT where the pattern takes too long for the text.
  void ForEachMatch(std::string_view text,
                    const std::function<void(size_t begin, size_t length)>& visit) const;

 private:
  std::shared_ptr<const void> code_;  // pcre2_code, shared by copies
  std::string where_;
};

// Words are the matches, and what lies between them where `keep_rest`.
struct PatternSplit {
  WordPattern pattern;
  bool keep_rest = true;
};

// Every digit (Unicode's numeric characters) by itself, or all that follow each other together.
struct DigitSplit {
  bool individual = true;
};

using SplitStep = std::variant<PatternSplit, DigitSplit>;

// GPT-2's pattern, which ByteLevel stands for.
extern const std::string_view kGpt2Pattern;

class WordSplitter {
 public:
  // Each step cuts what the ones before it left.
  explicit WordSplitter(std::vector<SplitStep> steps) : steps_(std::move(steps)) {}

  // Calls `visit` for the words of `text`, which is UTF-8, in order.
  void Split(std::string_view text, const std::function<void(std::string_view)>& visit) const;

 private:
  std::vector<SplitStep> steps_;
};

}  // namespace binocle
