// Splitting a text at added tokens.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "llm/tokenizer_config.h"
#include "llm/utf8.h"

namespace binocle {

// A stretch of text: an added token, or what lies between two.
struct TextSegment {
  std::string text;
  int32_t id = -1;  // of the added token
};

class AddedTokenSplitter {
 public:
  // Where two ids have the same content the larger one counts, as in transformers. `white_space`: what lstrip and rstrip take along.
  explicit AddedTokenSplitter(const std::map<int32_t, AddedToken>& tokens,
                              WhiteSpace white_space = WhiteSpace::kPython);

  // Segments in order, none of them empty. At each place the longest token counts; tokens then take along white space
  // (lstrip, rstrip) or become ordinary text again (single_word). This is transformers'
  // PreTrainedTokenizer.tokenize, whose trie overlooks a token in rare texts where a longer one begins before it and
  // breaks off; here it is found.
  std::vector<TextSegment> Split(std::string_view text) const;

  // Id of the token with this content, −1 when there is none.
  int32_t Find(const std::string& content) const;

 private:
  // A trie over bytes. UTF-8 makes that the same as one over characters.
  struct Node {
    std::map<unsigned char, int32_t> next;
    int32_t id = -1;
  };

  void Insert(int32_t id, const std::string& content);
  size_t LongestMatch(std::string_view text, int32_t* id) const;
  void ApplyFlags(std::vector<TextSegment>& segments) const;

  WhiteSpace white_space_;
  std::vector<Node> nodes_{1};
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, AddedToken> tokens_;
};

}  // namespace binocle
