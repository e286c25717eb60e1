#include "eval/chair.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "eval/chair_objects.h"

namespace binocle::eval {
namespace {

constexpr TextView kClitics[] = {U"n't", U"'s", U"'re", U"'ve", U"'ll", U"'d", U"'m"};

// Endings of plurals and what stands in their place, as WordNet's morphology has them, and "children".
constexpr std::pair<std::string_view, std::string_view> kEndings[] = {
    {"s", ""},      {"ses", "s"},   {"ves", "f"},   {"xes", "x"}, {"zes", "z"},
    {"ches", "ch"}, {"shes", "sh"}, {"men", "man"}, {"ies", "y"}, {"children", "child"}};
// Plurals that no ending explains.
constexpr std::pair<std::string_view, std::string_view> kIrregular[] = {{"calves", "calf"},
                                                                        {"geese", "goose"},
                                                                        {"knives", "knife"},
                                                                        {"mice", "mouse"},
                                                                        {"thieves", "thief"}};

// Marks that may stand within a word.
bool Joins(char32_t c) { return c == U'\'' || c == U'-' || c == U'/' || c == U'&' || c == U'.'; }

void AppendToken(Text token, std::vector<Text>& tokens) {
  for (const TextView clitic : kClitics) {
    if (token.size() <= clitic.size() || !token.ends_with(clitic)) continue;
    tokens.push_back(token.substr(0, token.size() - clitic.size()));
    tokens.emplace_back(clitic);
    return;
  }
  tokens.push_back(std::move(token));
}

std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(", "), list.size());
    items.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 2, list.size()));
  }
  return items;
}

std::optional<double> Distinct(const std::vector<Text>& words, size_t n) {
  if (words.size() < n) return std::nullopt;
  std::set<Text> different;
  const size_t all = words.size() - n + 1;
  for (size_t i = 0; i < all; ++i) {
    Text sequence;
    for (size_t k = 0; k < n; ++k) sequence += words[i + k] + U' ';
    different.insert(std::move(sequence));
  }
  return static_cast<double>(different.size()) / static_cast<double>(all);
}

}  // namespace

std::vector<Text> CaptionTokens(TextView caption) {
  Text text = Lower(caption);
  std::replace(text.begin(), text.end(), U'\u2019', U'\'');
  std::vector<Text> tokens;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (IsWord(text[i])) {
      const auto goes_on = [&] {
        if (end < text.size() && IsWord(text[end])) return true;
        return end + 1 < text.size() && Joins(text[end]) && IsWord(text[end - 1]) &&
               IsWord(text[end + 1]);
      };
      while (goes_on()) ++end;
      AppendToken(text.substr(i, end - i), tokens);
    } else if (!IsSpace(text[i])) {
      tokens.push_back(text.substr(i, 1));
    }
    i = end;
  }
  return tokens;
}

CaptionObjects::CaptionObjects() {
  const auto know = [&](const std::string& term) {
    for (const Text& word : SplitWords(FromUtf8(term))) known_.insert(ToUtf8(word));
  };
  for (const auto& [object, words] : kChairObjects) {
    categories_.emplace(object, object);
    if (object.find(' ') == std::string_view::npos) known_.emplace(object);
    for (const std::string& word : SplitList(words)) {
      categories_.emplace(word, object);
      if (word.find(' ') == std::string::npos) known_.insert(word);
    }
  }
  for (const auto& [pair, meaning] : kChairPairs) {
    pairs_.emplace(pair, meaning);
    know(std::string(pair));
  }
}

std::string CaptionObjects::CategoryOf(const std::string& name) const {
  const auto category = categories_.find(name);
  return category == categories_.end() ? std::string() : category->second;
}

std::string CaptionObjects::Singular(const std::string& word) const {
  if (known_.contains(word)) return word;
  for (const auto& [plural, singular] : kIrregular) {
    if (word == plural) return std::string(singular);
  }
  for (const auto& [ending, instead] : kEndings) {
    if (!word.ends_with(ending)) continue;
    std::string singular = word.substr(0, word.size() - ending.size()) + std::string(instead);
    if (known_.contains(singular)) return singular;
  }
  return word;
}

std::vector<std::string> CaptionObjects::Named(TextView caption) const {
  std::vector<std::string> singulars;
  for (const Text& token : CaptionTokens(caption)) singulars.push_back(Singular(ToUtf8(token)));
  std::vector<std::string> words;
  for (size_t i = 0; i < singulars.size(); ++i) {
    const auto pair = i + 1 < singulars.size() ? pairs_.find(singulars[i] + " " + singulars[i + 1])
                                               : pairs_.end();
    words.push_back(pair == pairs_.end() ? singulars[i] : pair->second);
    if (pair != pairs_.end()) ++i;
  }
  // The seat of a toilet is no chair.
  const auto has = [&](const char* word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (has("toilet") && has("seat")) std::erase(words, "seat");
  std::vector<std::string> named;
  for (const std::string& word : words) {
    std::string category = CategoryOf(word);
    if (!category.empty()) named.push_back(std::move(category));
  }
  return named;
}

CaptionStyle StyleOf(TextView caption) {
  std::vector<Text> words;
  for (const Text& chunk : SplitWords(Lower(caption))) {
    const auto first = std::find_if(chunk.begin(), chunk.end(), IsWord);
    if (first == chunk.end()) continue;
    const auto last = std::find_if(chunk.rbegin(), chunk.rend(), IsWord).base();
    words.emplace_back(first, last);
  }
  return {.words = std::ssize(words),
          .distinct_1 = Distinct(words, 1),
          .distinct_2 = Distinct(words, 2),
          .distinct_4 = Distinct(words, 4)};
}

}  // namespace binocle::eval
