#include "llm/tokenizer_added_tokens.h"

#include <utility>

namespace binocle {

AddedTokenSplitter::AddedTokenSplitter(const std::map<int32_t, AddedToken>& tokens,
                                       WhiteSpace white_space)
    : white_space_(white_space) {
  for (const auto& [id, token] : tokens) {
    ids_[token.content] = id;
    tokens_[id] = token;
    Insert(id, token.content);
  }
}

void AddedTokenSplitter::Insert(int32_t id, const std::string& content) {
  int32_t node = 0;
  for (const char c : content) {
    const auto fresh = static_cast<int32_t>(nodes_.size());
    const auto [edge, inserted] =
        nodes_[static_cast<size_t>(node)].next.try_emplace(static_cast<unsigned char>(c), fresh);
    node = edge->second;
    if (inserted) nodes_.emplace_back();
  }
  nodes_[static_cast<size_t>(node)].id = id;
}

int32_t AddedTokenSplitter::Find(const std::string& content) const {
  const auto it = ids_.find(content);
  return it == ids_.end() ? -1 : it->second;
}

// Length of the longest token that `text` begins with, 0 when there is none.
size_t AddedTokenSplitter::LongestMatch(std::string_view text, int32_t* id) const {
  size_t longest = 0;
  const Node* node = &nodes_[0];
  for (size_t i = 0; i < text.size(); ++i) {
    const auto edge = node->next.find(static_cast<unsigned char>(text[i]));
    if (edge == node->next.end()) break;
    node = &nodes_[static_cast<size_t>(edge->second)];
    if (node->id >= 0) {
      longest = i + 1;
      *id = node->id;
    }
  }
  return longest;
}

std::vector<TextSegment> AddedTokenSplitter::Split(std::string_view text) const {
  if (text.empty()) return {};
  if (tokens_.empty()) return {{.text = std::string(text)}};
  std::vector<TextSegment> segments;
  size_t begin = 0;  // of the stretch that is no token
  for (size_t i = 0; i < text.size();) {
    int32_t id = -1;
    const size_t length = LongestMatch(text.substr(i), &id);
    if (length == 0) {
      ++i;
      continue;
    }
    if (i > begin) segments.push_back({.text = std::string(text.substr(begin, i - begin))});
    segments.push_back({.text = std::string(text.substr(i, length)), .id = id});
    i += length;
    begin = i;
  }
  if (begin < text.size()) segments.push_back({.text = std::string(text.substr(begin))});
  ApplyFlags(segments);
  std::erase_if(segments, [](const TextSegment& segment) { return segment.text.empty(); });
  return segments;
}

// In transformers' order: from left to right, each token acting on its neighbours as the tokens before it left them.
void AddedTokenSplitter::ApplyFlags(std::vector<TextSegment>& segments) const {
  for (size_t i = 0; i < segments.size(); ++i) {
    TextSegment& segment = segments[i];
    // Its neighbours' flags may have emptied a token, or glued it to text: then it is none any more.
    segment.id = Find(segment.text);
    if (segment.id < 0) continue;
    const AddedToken& token = tokens_.at(segment.id);
    const std::string left = i > 0 ? segments[i - 1].text : "";
    const std::string right = i + 1 < segments.size() ? segments[i + 1].text : "";
    if (token.rstrip && !right.empty()) segments[i + 1].text = TrimFront(right, white_space_);
    if (token.lstrip && !left.empty()) {
      segments[i - 1].text = TrimBack(left, white_space_);
      segments[i - 1].id = Find(segments[i - 1].text);
    }
    if (!token.single_word) continue;
    if (!left.empty() && left.back() != ' ') {
      segments[i - 1].text += segment.text;
      segments[i - 1].id = Find(segments[i - 1].text);
    } else if (!right.empty() && right.front() != ' ') {
      segments[i + 1].text.insert(0, segment.text);
    } else {
      continue;
    }
    segment = {};
  }
}

}  // namespace binocle
