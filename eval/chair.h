// CHAIR: which objects a caption names, and which of them are not in the picture.
//
//   CHAIR_s = captions with a hallucinated object / captions        CHAIR_i = hallucinated mentions / mentions
//   recall  = Σ named objects that are there / Σ objects there      precision = Σ named objects that are there / Σ named objects
//
// Mentions count repetitions, named objects do not; all four are over the whole file. A caption becomes words as in the published script,
// with one difference: it takes plurals back to singulars and leaves every other form alone, without a tagger or a dictionary. The
// published scripts do it with pattern's singularize or with NLTK's tagger and WordNet, and disagree with each other: with NLTK "men" is
// no person, and "skateboarding" is a skateboard where the tagger sees a verb.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "eval/text.h"

namespace binocle::eval {

// Words and punctuation marks of a text in lower case. "'s", "n't" and the like are words of their own.
std::vector<Text> CaptionTokens(TextView caption);

class CaptionObjects {
 public:
  // COCO's.
  CaptionObjects();
  // Those of a table: {"objects": {"red circle": ["red disc"], "dog": []}}, names and for each the words, or phrases of up to four words,
  // that count as it besides the name; all in lower case. Throws INVALID_ARGUMENT for what is no such table.
  explicit CaptionObjects(std::string_view table);

  // The category of an object that is called by its name or one of its words; empty where it is none.
  std::string CategoryOf(const std::string& name) const;
  // The categories a caption names, in order, each as often as it is named.
  std::vector<std::string> Named(TextView caption) const;

 private:
  void Know(const std::string& term, const std::string& object);
  std::string Singular(const std::string& word) const;

  std::map<std::string, std::string, std::less<>> categories_;  // by word
  std::map<std::string, std::string, std::less<>>
      phrases_;  // of several words: what they stand for
  size_t longest_phrase_ = 2;
  bool coco_ = false;
  std::set<std::string, std::less<>> known_;  // single words that a plural may go back to
};

// How a caption is written, over its words in lower case without marks around.
struct CaptionStyle {
  int64_t words = 0;
  // Different sequences of 1, 2 and 4 words over all; nothing where the caption is shorter.
  std::optional<double> distinct_1;
  std::optional<double> distinct_2;
  std::optional<double> distinct_4;
};
CaptionStyle StyleOf(TextView caption);

}  // namespace binocle::eval
