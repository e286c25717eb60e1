// An answer taken apart: what each token added, and its words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "llm/tokenizer.h"

namespace binocle {

// Bytes [begin, end) of the answer's text and tokens [first_token, end_token).
struct AnswerWord {
  int64_t begin = 0, end = 0;
  int64_t first_token = 0, end_token = 0;
};

struct AnswerParts {
  std::vector<std::string> token_texts;  // their concatenation is the answer's text
  std::vector<AnswerWord> words;
};

// Words are what white space parts, and every ideograph and kana by itself, less the punctuation at their ends. A token belongs to a
// word when some of its bytes do, so neighbours may share one; a character of several tokens belongs to all of them.
AnswerParts TakeApart(const Answer& answer, const Tokenizer& tokenizer, PromptFormat format);

}  // namespace binocle
