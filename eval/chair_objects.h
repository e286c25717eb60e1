// The 80 object categories of COCO and the words that CHAIR counts as each.
//
// Which words count is part of the metric: Rohrbach et al., "Object Hallucination in Image Captioning" (EMNLP 2018), and the list beside
// its code. That list comes without a licence, so this one is written down anew, as facts: sorted, without repetitions, misspellings and
// entries that its code can never match: those of three words, and two ("cheesecake", "motor bike") that have a blank too many there.
#pragma once

#include <span>
#include <string_view>

namespace binocle::eval {

struct ObjectWords {
  std::string_view object;
  std::string_view words;  // besides its name, separated by ", "
};
extern const std::span<const ObjectWords> kChairObjects;

// Two words that are one: what they stand for, which need not be an object. "train track" is no train.
struct WordPair {
  std::string_view pair;
  std::string_view meaning;
};
extern const std::span<const WordPair> kChairPairs;

}  // namespace binocle::eval
