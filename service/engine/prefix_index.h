// Keys and values of finished prompts and answers, for the next ones that begin the same way.
//
// A tree of pages: the path from the root to a page spells the positions up to it, each a token id or a place in a picture. What was
// computed there serves to the last bit, because a row depends only on what comes before it and not on how a prompt is cut or who
// shares the pass. Full pages are shared in place; of one that is partly alike the alike part is copied. Sequences whose attention is
// watched or changed neither keep nor take.
//
// The index holds pages of the pool; those that it alone holds are given back, least recently used and deepest first, when somebody
// needs them. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "attention/kv_pages.h"
#include "service/engine/forward_rows.h"

namespace binocle {

class PrefixIndex {
 public:
  explicit PrefixIndex(KvPool& pool);
  ~PrefixIndex();

  // What stands at a position: a token, or a place in a picture (EncodedImage::serial tells pictures apart, and one under two layer plans).
  struct Place {
    int32_t id = 0;
    uint64_t image = 0;  // 0: text
    bool operator==(const Place&) const = default;
  };
  static std::vector<Place> PlacesOf(const SequenceTokens& tokens, int64_t end);

  // Of `tokens`, how many pages at the front are here and used by running sequences too: they cost a new sequence nothing.
  int64_t PagesInUse(const SequenceTokens& tokens);
  // Begins an empty sequence with what it shares, and less than all of it, since the last position's logits are yet to be computed;
  // `sequence.computed` says how much. Takes at most one page from the pool, evicting where it must.
  void Begin(const SequenceTokens& tokens, RunningSequence& sequence);
  // Keeps the first `end` positions of a sequence that has computed them; `end` a multiple of the page unless the sequence is never
  // written again.
  void Keep(const SequenceTokens& tokens, const KvSequence& sequence, int64_t end);

  // Pages that the index alone holds: what Evict could give back.
  int64_t evictable_pages() const;
  // Gives pages back until the pool has `pages` free ones, as far as possible.
  void Evict(int64_t pages);
  void Clear();

  int64_t pages() const { return nodes_; }

 private:
  struct Node {
    std::vector<Place> places;  // at most kPageTokens
    int32_t page = -1;
    uint64_t used = 0;  // the clock's time of its last use
    Node* parent = nullptr;
    std::vector<std::unique_ptr<Node>> children;
  };
  struct Match {
    Node* node;      // the last full page
    int64_t length;  // its end
  };
  Match Longest(std::span<const Place> places, std::vector<int32_t>* pages);
  bool TakePages(const Match& match, const KvSequence& sequence);
  int64_t Evictable(const Node& node, bool& whole) const;
  void Remove(Node* node);
  // Those without pages after them that the index alone holds.
  std::vector<Node*> EvictableLeaves();
  bool IsEvictableLeaf(const Node* node) const;

  KvPool& pool_;
  Node root_;
  int64_t nodes_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace binocle
