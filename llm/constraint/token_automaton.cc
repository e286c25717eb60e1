#include "llm/constraint/token_automaton.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

using State = Automaton::State;

// Nodes of the trie that the search for dead ends may visit, and edges between states that it may keep: a quarter of a second (48848 nodes
// of 32000 pieces take 0.56 ms on the server core this was measured on) and 16 MiB at most.
constexpr int64_t kMaxSearchSteps = 20'000'000;
constexpr size_t kMaxSearchEdges = 2'000'000;

}  // namespace

TokenAutomaton::TokenAutomaton(Automaton automaton,
                               std::shared_ptr<const ConstraintVocabulary> vocabulary,
                               LeadingText leading)
    : automaton_(std::move(automaton)), vocabulary_(std::move(vocabulary)), leading_(leading) {
  if (!SpellsEverything()) FindDeadEnds();
  FindDeadBeginnings();
  const Position start;
  if (dead_phase_[static_cast<size_t>(start.phase)]) ThrowDeadEnd(start);
}

// A vocabulary with a token for each byte that texts of the language have spells all of them. Tokenizers with byte fallback do.
bool TokenAutomaton::SpellsEverything() const {
  for (State state = 0; state < automaton_.size(); ++state) {
    for (const auto& edge : automaton_.edges(state)) {
      for (int byte = edge.low; byte <= edge.high; ++byte) {
        if (!vocabulary_->HasByte(static_cast<uint8_t>(byte))) return false;
      }
    }
  }
  return true;
}

// Calls visit(first, count, target) for the tokens of every text that can be walked from the state: vocabulary().tokens()[first …].
// Returns the nodes it saw.
template <typename Visit>
int64_t TokenAutomaton::WalkTrie(State from, const Visit& visit) const {
  const std::span<const ConstraintVocabulary::Node> nodes = vocabulary_->nodes();
  std::vector<State> states(static_cast<size_t>(vocabulary_->longest()) + 1);  // by depth
  states[0] = from;
  int64_t steps = 0;
  for (size_t i = 0; i < nodes.size(); ++steps) {
    const ConstraintVocabulary::Node& node = nodes[i];
    const auto depth = static_cast<size_t>(node.depth);
    const State target = automaton_.Step(states[depth - 1], node.byte);
    if (target == Automaton::kDead) {
      i = static_cast<size_t>(node.next);
      continue;
    }
    states[depth] = target;
    if (node.count > 0) visit(node.first, node.count, target);
    ++i;
  }
  return steps;
}

// Backwards from the accepting states along tokens; what is not reached is dead.
void TokenAutomaton::FindDeadEnds() {
  const auto n = static_cast<size_t>(automaton_.size());
  std::vector<std::pair<State, State>> edges;  // (target, source)
  std::vector<State> seen_from(n, Automaton::kDead);
  int64_t steps = 0;
  for (State s = 0; s < automaton_.size(); ++s) {
    steps += WalkTrie(s, [&](int32_t, int32_t, State target) {
      if (std::exchange(seen_from[static_cast<size_t>(target)], s) != s)
        edges.emplace_back(target, s);
    });
    if (steps > kMaxSearchSteps || edges.size() > kMaxSearchEdges) return;
  }
  std::sort(edges.begin(), edges.end());
  std::vector<bool> dead(n, true);
  std::vector<State> stack;
  const auto reach = [&](State s) {
    if (!dead[static_cast<size_t>(s)]) return;
    dead[static_cast<size_t>(s)] = false;
    stack.push_back(s);
  };
  for (State s = 0; s < automaton_.size(); ++s) {
    if (automaton_.accepting(s)) reach(s);
  }
  while (!stack.empty()) {
    const State target = stack.back();
    stack.pop_back();
    for (auto it = std::lower_bound(edges.begin(), edges.end(), std::pair(target, State{0}));
         it != edges.end() && it->first == target; ++it)
      reach(it->second);
  }
  if (std::find(dead.begin(), dead.end(), true) != dead.end()) dead_ = std::move(dead);
}

// Later phases first: what drops a space leads to them.
void TokenAutomaton::FindDeadBeginnings() {
  for (const Phase phase :
       {Phase::kInText, Phase::kSpaceDropped, Phase::kStartAgain, Phase::kStart}) {
    const Position at{.phase = phase};
    dead_phase_[static_cast<size_t>(phase)] = !Accepting(at) && !Mask(at)->text;
  }
}

std::optional<TokenAutomaton::Position> TokenAutomaton::Advance(Position from,
                                                                int32_t token) const {
  if (!vocabulary_->IsText(token)) return std::nullopt;
  const Tokenizer& tokenizer = vocabulary_->tokenizer();
  const TokenPiece piece = tokenizer.Piece(token);
  std::string_view text = piece.text;
  const auto beginning = [&](Phase phase) -> std::optional<Position> {
    if (dead_phase_[static_cast<size_t>(phase)]) return std::nullopt;
    return Position{from.state, phase};
  };
  if (from.phase == Phase::kStart || from.phase == Phase::kStartAgain) {
    const LeadingSpace rule = tokenizer.leading_space();
    if (piece.opens_word && rule != LeadingSpace::kKeep) text.remove_prefix(1);
    if (text.empty() && rule == LeadingSpace::kDropOne) return beginning(Phase::kSpaceDropped);
    if (text.empty() && from.phase == Phase::kStart) return beginning(Phase::kStartAgain);
    if (text.empty()) return std::nullopt;
  }
  if (from.phase != Phase::kInText && leading_ == LeadingText::kDropSpace && text.front() == ' ') {
    text.remove_prefix(1);
    if (text.empty()) return beginning(Phase::kInText);
  }
  const State state = automaton_.Walk(from.state, text);
  if (state == Automaton::kDead || (!dead_.empty() && dead_[static_cast<size_t>(state)]))
    return std::nullopt;
  return Position{state, Phase::kInText};
}

std::shared_ptr<const TokenMask> TokenAutomaton::Mask(Position at) const {
  const int64_t key = int64_t{at.state} * 4 + static_cast<int64_t>(at.phase);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
  }
  auto mask = std::make_shared<const TokenMask>(MakeMask(at));
  const std::lock_guard lock(mutex_);
  // A table that is full has mostly served texts that have moved on; dropping it whole needs no bookkeeping at each use.
  const size_t bytes = mask->words.size() * sizeof(uint64_t);
  if ((masks_.size() + 1) * bytes > kMaskBytes) masks_.clear();
  return masks_.emplace(key, std::move(mask)).first->second;
}

size_t TokenAutomaton::bytes() const {
  const std::lock_guard lock(mutex_);
  const size_t words = (static_cast<size_t>(vocabulary_->usable()) + 63) / 64;
  return automaton_.bytes() + dead_.size() / 8 + masks_.size() * words * sizeof(uint64_t);
}

TokenMask TokenAutomaton::MakeMask(Position at) const {
  TokenMask mask;
  mask.words.resize((static_cast<size_t>(vocabulary_->usable()) + 63) / 64);
  const auto allow = [&](int32_t id) {
    mask.words[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
  };
  if (at.phase == Phase::kInText) {
    WalkTrie(at.state, [&](int32_t first, int32_t count, State target) {
      if (!dead_.empty() && dead_[static_cast<size_t>(target)]) return;
      for (int32_t i = first; i < first + count; ++i)
        allow(vocabulary_->tokens()[static_cast<size_t>(i)]);
      mask.text = true;
    });
  } else {
    for (const int32_t id : vocabulary_->tokens()) {
      if (!Advance(at, id)) continue;
      allow(id);
      mask.text = true;
    }
  }
  if (Accepting(at)) {
    for (const int32_t id : vocabulary_->end_tokens()) allow(id);
    mask.end = !vocabulary_->end_tokens().empty();
  }
  return mask;
}

bool TokenAutomaton::Complete(Position at) const {
  return Accepting(at) && (automaton_.edges(at.state).empty() || !Mask(at)->text);
}

void TokenAutomaton::ThrowDeadEnd(Position at) const {
  ThrowInvalid(
      "no token of this vocabulary continues the answer towards a complete one; next may come ",
      automaton_.Expected(at.state));
}

}  // namespace binocle
