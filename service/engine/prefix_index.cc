#include "service/engine/prefix_index.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace binocle {
namespace {

constexpr auto kPage = static_cast<size_t>(kPageTokens);

int64_t SharedPlaces(std::span<const PrefixIndex::Place> a, std::span<const PrefixIndex::Place> b) {
  const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return end - a.begin();
}

}  // namespace

PrefixIndex::PrefixIndex(KvPool& pool) : pool_(pool) {}
PrefixIndex::~PrefixIndex() { Clear(); }

std::vector<PrefixIndex::Place> PrefixIndex::PlacesOf(const SequenceTokens& tokens, int64_t end) {
  std::vector<Place> places(static_cast<size_t>(end));
  const auto prompt = std::min(end, std::ssize(tokens.prompt.ids));
  for (int64_t p = 0; p < prompt; ++p)
    places[static_cast<size_t>(p)].id = tokens.prompt.ids[static_cast<size_t>(p)];
  for (int64_t p = prompt; p < end; ++p)
    places[static_cast<size_t>(p)].id = tokens.answer[static_cast<size_t>(p - prompt)];
  for (const ImageSpan& image : tokens.prompt.images) {
    const uint64_t serial = tokens.images[static_cast<size_t>(image.image)]->serial;
    const int64_t last = std::min(end, image.first_position + image.tokens);
    for (int64_t p = image.first_position; p < last; ++p) {
      // The place within the picture counts too: two marks of one picture in a row are not one long picture.
      places[static_cast<size_t>(p)] = {static_cast<int32_t>(p - image.first_position), serial};
    }
  }
  return places;
}

PrefixIndex::Match PrefixIndex::Longest(std::span<const Place> places,
                                        std::vector<int32_t>* pages) {
  Match match{&root_, 0};
  while (places.size() - static_cast<size_t>(match.length) >= kPage) {
    const std::span<const Place> page = places.subspan(static_cast<size_t>(match.length), kPage);
    const auto& children = match.node->children;
    const auto next = std::find_if(children.begin(), children.end(), [&](const auto& child) {
      return std::ranges::equal(child->places, page);
    });
    if (next == children.end()) break;
    match = {next->get(), match.length + kPageTokens};
    if (pages != nullptr) pages->push_back(match.node->page);
  }
  return match;
}

int64_t PrefixIndex::PagesInUse(const SequenceTokens& tokens) {
  std::vector<int32_t> pages;
  Longest(PlacesOf(tokens, tokens.size() - 1), &pages);
  return std::count_if(pages.begin(), pages.end(),
                       [&](int32_t page) { return pool_.holders(page) > 1; });
}

void PrefixIndex::Begin(const SequenceTokens& tokens, RunningSequence& sequence) {
  const std::vector<Place> places = PlacesOf(tokens, tokens.size() - 1);
  std::vector<int32_t> pages;
  const Match match = Longest(places, &pages);
  for (Node* node = match.node; node != &root_; node = node->parent) node->used = ++clock_;
  sequence.kv.Begin(pages, match.length);
  sequence.computed = match.length;

  const auto rest = std::span<const Place>(places).subspan(static_cast<size_t>(match.length));
  Node* best = nullptr;
  int64_t shared = 0;
  for (const auto& child : match.node->children) {
    const int64_t n = SharedPlaces(child->places, rest);
    if (n > shared) {
      shared = n;
      best = child.get();
    }
  }
  if (best == nullptr) return;
  best->used = ++clock_;
  pool_.Share(best->page);  // so that evicting leaves it
  Evict(1);
  if (pool_.free_pages() > 0) {
    sequence.kv.Extend(shared);
    pool_.Copy(best->page, sequence.kv.pages().back(), shared);
    sequence.computed += shared;
  }
  pool_.Give(best->page);
}

// Two sequences that began alike before the index had it have computed the same pages twice. What hangs below a page must not outlive it: the sequence's
// page takes the place of one that the index alone holds, to the same bits. False: another sequence still uses the one that is here.
bool PrefixIndex::TakePages(const Match& match, const KvSequence& sequence) {
  std::vector<std::pair<Node*, int32_t>> others;  // all or none of them
  int64_t index = match.length / kPageTokens;
  for (Node* node = match.node; node != &root_; node = node->parent) {
    const int32_t own = sequence.pages()[static_cast<size_t>(--index)];
    if (node->page == own) continue;
    if (pool_.holders(node->page) > 1) return false;
    others.emplace_back(node, own);
  }
  for (const auto& [node, own] : others) {
    pool_.Share(own);
    pool_.Give(std::exchange(node->page, own));
  }
  return true;
}

void PrefixIndex::Keep(const SequenceTokens& tokens, const KvSequence& sequence, int64_t end) {
  const std::vector<Place> places = PlacesOf(tokens, end);
  Match match = Longest(places, nullptr);
  for (Node* node = match.node; node != &root_; node = node->parent) node->used = ++clock_;
  if (!TakePages(match, sequence)) return;
  while (match.length < end) {
    const auto rest = std::span<const Place>(places).subspan(static_cast<size_t>(match.length));
    const auto page = rest.first(std::min(rest.size(), kPage));
    for (const auto& child : match.node->children) {
      // A part of a page that is here already is nothing new.
      if (page.size() < kPage && SharedPlaces(child->places, page) == std::ssize(page)) {
        child->used = ++clock_;
        return;
      }
    }
    auto node = std::make_unique<Node>();
    node->places.assign(page.begin(), page.end());
    node->page = sequence.pages()[static_cast<size_t>(match.length / kPageTokens)];
    node->used = ++clock_;
    node->parent = match.node;
    pool_.Share(node->page);
    ++nodes_;
    match.node->children.push_back(std::move(node));
    match = {match.node->children.back().get(), match.length + kPageTokens};
  }
}

// Pages at and under `node` that could go, deepest first; `whole`: all of them could.
int64_t PrefixIndex::Evictable(const Node& node, bool& whole) const {
  int64_t count = 0;
  for (const auto& child : node.children) {
    bool child_whole = true;
    count += Evictable(*child, child_whole);
    whole = whole && child_whole;
  }
  if (&node == &root_) return count;
  whole = whole && pool_.holders(node.page) == 1;
  return count + (whole ? 1 : 0);
}

int64_t PrefixIndex::evictable_pages() const {
  bool whole = true;
  return Evictable(root_, whole);
}

bool PrefixIndex::IsEvictableLeaf(const Node* node) const {
  return node != &root_ && node->children.empty() && pool_.holders(node->page) == 1;
}

std::vector<PrefixIndex::Node*> PrefixIndex::EvictableLeaves() {
  std::vector<Node*> leaves, open = {&root_};
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    if (IsEvictableLeaf(node)) leaves.push_back(node);
    for (const auto& child : node->children) open.push_back(child.get());
  }
  return leaves;
}

void PrefixIndex::Remove(Node* node) {
  pool_.Give(node->page);
  --nodes_;
  std::erase_if(node->parent->children, [&](const auto& child) { return child.get() == node; });
}

void PrefixIndex::Evict(int64_t pages) {
  if (pool_.free_pages() >= pages) return;
  // One walk for all that go: an index may have ten thousand pages, and a long prompt wants hundreds.
  const auto later = [](const Node* a, const Node* b) { return a->used > b->used; };
  std::priority_queue<Node*, std::vector<Node*>, decltype(later)> oldest(later, EvictableLeaves());
  while (pool_.free_pages() < pages && !oldest.empty()) {
    Node* node = oldest.top();
    oldest.pop();
    Node* parent = node->parent;
    Remove(node);
    if (IsEvictableLeaf(parent)) oldest.push(parent);
  }
}

void PrefixIndex::Clear() {
  while (!root_.children.empty()) {
    Node* node = root_.children.back().get();
    while (!node->children.empty()) node = node->children.back().get();
    Remove(node);
  }
}

}  // namespace binocle
