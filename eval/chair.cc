#include "eval/chair.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json.h"
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

constexpr size_t kLongestPhrase = 4;

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

CaptionObjects::CaptionObjects() : coco_(true) {
  for (const auto& [object, words] : kChairObjects) {
    categories_.emplace(object, object);
    if (object.find(' ') == std::string_view::npos) known_.emplace(object);
    for (const std::string& word : SplitList(words)) {
      categories_.emplace(word, object);
      if (word.find(' ') == std::string::npos) known_.insert(word);
    }
  }
  for (const auto& [pair, meaning] : kChairPairs) {
    phrases_.emplace(pair, meaning);
    for (const Text& word : SplitWords(FromUtf8(pair))) known_.insert(ToUtf8(word));
  }
}

CaptionObjects::CaptionObjects(std::string_view table) {
  const std::string where = "the table of objects";
  const Json json = ParseJson(table, where);
  const JsonObject object(json, where);
  object.OnlyKeys({"objects"});
  const JsonObject objects = object.Object("objects");
  if (objects.json().empty()) object.Fail("objects", "at least one object");
  for (const auto& [name, words] : objects.json().items()) {
    const auto is_text = [](const Json& word) { return word.is_string(); };
    if (!words.is_array() || !std::all_of(words.begin(), words.end(), is_text))
      objects.Fail(name, "a list of words");
    Know(name, name);
    for (const Json& word : words) Know(word.get<std::string>(), name);
  }
}

// A word or phrase that a caption may use for an object.
void CaptionObjects::Know(const std::string& term, const std::string& object) {
  std::string normal;
  size_t count = 0;
  for (const Text& token : CaptionTokens(FromUtf8(term))) {
    normal += (count++ == 0 ? "" : " ") + ToUtf8(token);
    known_.insert(ToUtf8(token));
  }
  if (count == 0 || count > kLongestPhrase || normal != term)
    ThrowInvalid("the table of objects: ", Printable(term, 60),
                 " is no word or phrase of up to four, in lower case with single blanks");
  const auto [at, is_new] = categories_.emplace(normal, object);
  if (!is_new && at->second != object)
    ThrowInvalid("the table of objects: ", Printable(term, 60), " is a word for ", at->second,
                 " and for ", object);
  if (count > 1) phrases_.emplace(normal, normal);
  longest_phrase_ = std::max(longest_phrase_, count);
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
  for (size_t i = 0; i < singulars.size();) {
    size_t length = std::min(longest_phrase_, singulars.size() - i);
    const std::string* meaning = nullptr;
    for (; length > 1; --length) {
      std::string phrase = singulars[i];
      for (size_t k = 1; k < length; ++k) phrase += " " + singulars[i + k];
      const auto found = phrases_.find(phrase);
      if (found == phrases_.end()) continue;
      meaning = &found->second;
      break;
    }
    words.push_back(meaning == nullptr ? singulars[i] : *meaning);
    i += length;
  }
  // The seat of a toilet is no chair.
  const auto has = [&](const char* word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (coco_ && has("toilet") && has("seat")) std::erase(words, "seat");
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
