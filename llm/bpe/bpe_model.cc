#include "llm/bpe/bpe_model.h"

#include <queue>
#include <tuple>

#include "core/error.h"

namespace binocle {
namespace {

// A part of the word, and its neighbours: −1 where there is none.
struct Part {
  int32_t id;
  int32_t before, after;
};

// A merge that was possible when it was found. The one of the lowest rank comes first, the left one of equals.
struct Candidate {
  int32_t rank;
  int32_t left;
  int32_t made;
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

BpeModel::BpeModel(const std::vector<std::string>& tokens,
                   const std::vector<std::pair<int32_t, int32_t>>& merges, bool whole_words,
                   const std::string& where) {
  byte_ids_.fill(-1);
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
    ids[tokens[id]] = static_cast<int32_t>(id);
    if (tokens[id].size() == 1)
      byte_ids_[static_cast<unsigned char>(tokens[id][0])] = static_cast<int32_t>(id);
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = merges[rank];
    const auto made =
        ids.find(tokens[static_cast<size_t>(left)] + tokens[static_cast<size_t>(right)]);
    if (made == ids.end()) {
      ThrowInvalid(where, ": merge ", rank, " of ids ", left, " and ", right,
                   " makes a token that the vocabulary does not have");
    }
    merges_.emplace(Key(left, right), Merge{static_cast<int32_t>(rank), made->second});
  }
  if (whole_words) words_ = std::move(ids);
}

void BpeModel::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (!words_.empty()) {
    if (const auto whole = words_.find(std::string(word)); whole != words_.end())
      return ids.push_back(whole->second);
  }
  std::vector<Part> parts;
  for (const char c : word) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(c)];
    const auto at = static_cast<int32_t>(parts.size());
    if (id >= 0) parts.push_back({.id = id, .before = at - 1, .after = at + 1});
  }
  if (parts.empty()) return;
  parts.back().after = -1;

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto propose = [&](int32_t left) {
    if (left < 0 || parts[static_cast<size_t>(left)].after < 0) return;
    const Part& part = parts[static_cast<size_t>(left)];
    const auto merge = merges_.find(Key(part.id, parts[static_cast<size_t>(part.after)].id));
    if (merge != merges_.end())
      candidates.push({.rank = merge->second.rank, .left = left, .made = merge->second.made});
  };
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(parts.size()); ++i) propose(i);

  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Part& left = parts[static_cast<size_t>(best.left)];
    if (left.id < 0 || left.after < 0) continue;  // has been joined to another since
    Part& right = parts[static_cast<size_t>(left.after)];
    const auto merge = merges_.find(Key(left.id, right.id));
    if (merge == merges_.end() || merge->second.made != best.made) continue;
    left.id = best.made;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) parts[static_cast<size_t>(left.after)].before = best.left;
    propose(left.before);
    propose(best.left);
  }
  for (int32_t i = 0; i >= 0; i = parts[static_cast<size_t>(i)].after)
    ids.push_back(parts[static_cast<size_t>(i)].id);
}

}  // namespace binocle
