// The subset construction.
//
// Bytes that no edge tells apart are one class, so that a set's successors are found per class. A set holds only the states that matter:
// those with edges on bytes, and the accepting one.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "llm/constraint/automaton.h"

namespace binocle {
namespace {

using Set = std::vector<Nfa::State>;  // sorted

struct SetHash {
  size_t operator()(const Set& set) const {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const Nfa::State state : set)
      hash = (hash ^ static_cast<uint64_t>(state)) * 0x100000001B3u;
    return static_cast<size_t>(hash ^ hash >> 29);
  }
};

class Determinizer {
 public:
  explicit Determinizer(const Nfa& nfa) : nfa_(nfa), seen_(nfa.size(), 0) {
    matters_.resize(nfa.size());
    for (size_t i = 0; i < nfa.size(); ++i) matters_[i] = Matters(static_cast<Nfa::State>(i));
    FindClasses();
  }

  Automaton Run() {
    Find(Closure({Nfa::kStart}));
    for (size_t i = 0; i < sets_.size(); ++i) Expand(*sets_[i]);
    return std::move(builder_).Build();
  }

 private:
  bool Matters(Nfa::State state) const {
    if (state == nfa_.accepting()) return true;
    for (int32_t e = nfa_.FirstEdge(state); e >= 0; e = EdgeAt(e).next) {
      if (!EdgeAt(e).empty) return true;
    }
    return false;
  }

  const Nfa::Edge& EdgeAt(int32_t index) const { return nfa_.edges()[static_cast<size_t>(index)]; }

  void FindClasses() {
    std::array<bool, 257> begins = {};
    begins[0] = true;
    for (const Nfa::Edge& edge : nfa_.edges()) {
      if (edge.empty) continue;
      begins[edge.bytes.low] = true;
      begins[size_t{edge.bytes.high} + 1] = true;
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      if (begins[byte]) class_low_.push_back(static_cast<uint8_t>(byte));
      class_of_[byte] = class_low_.size() - 1;
    }
    successors_.resize(class_low_.size());
  }

  void Count(size_t steps) {
    steps_ += static_cast<int64_t>(steps);
    if (steps_ > kMaxAutomatonSteps) {
      Throw(Code::kResourceExhausted, "finding its automaton takes more than ", kMaxAutomatonSteps,
            " steps, the limit; fewer alternatives and smaller repetitions take fewer");
    }
  }

  // The states that matter among those that `from` leads to on nothing.
  Set Closure(Set from) {
    ++round_;
    Set closure;
    const auto visit = [&](Nfa::State state, Set& stack) {
      auto& seen = seen_[static_cast<size_t>(state)];
      if (std::exchange(seen, round_) != round_) stack.push_back(state);
    };
    Set stack;
    for (const Nfa::State state : from) visit(state, stack);
    while (!stack.empty()) {
      const Nfa::State state = stack.back();
      stack.pop_back();
      if (matters_[static_cast<size_t>(state)]) closure.push_back(state);
      size_t edges = 1;
      for (int32_t e = nfa_.FirstEdge(state); e >= 0; e = EdgeAt(e).next, ++edges) {
        if (EdgeAt(e).empty) visit(EdgeAt(e).target, stack);
      }
      Count(edges);
    }
    std::sort(closure.begin(), closure.end());
    return closure;
  }

  // The number of a set; a new one is yet to be expanded.
  Automaton::State Find(Set set) {
    const auto [it, inserted] =
        numbers_.try_emplace(std::move(set), static_cast<Automaton::State>(numbers_.size()));
    if (inserted) {
      if (numbers_.size() > kMaxAutomatonStates) {
        Throw(Code::kResourceExhausted, "its automaton has more than ", kMaxAutomatonStates,
              " states, the limit; shorter texts and smaller repetitions have fewer");
      }
      sets_.push_back(&it->first);
    }
    return it->second;
  }

  void Expand(const Set& set) {
    builder_.AddState(std::binary_search(set.begin(), set.end(), nfa_.accepting()));
    for (const Nfa::State state : set) {
      for (int32_t e = nfa_.FirstEdge(state); e >= 0; e = EdgeAt(e).next) {
        if (EdgeAt(e).empty) continue;
        const size_t last = class_of_[EdgeAt(e).bytes.high];
        for (size_t c = class_of_[EdgeAt(e).bytes.low]; c <= last; ++c)
          successors_[c].push_back(EdgeAt(e).target);
      }
    }
    // Neighbouring classes often have the same successors, whose set is then known.
    Set before;
    Automaton::State target = Automaton::kDead;
    for (size_t c = 0; c < successors_.size(); ++c) {
      Set next = std::exchange(successors_[c], {});
      if (next.empty()) continue;
      Count(next.size());
      if (next != before) {
        before = next;
        target = Find(Closure(std::move(next)));
      }
      const size_t end = c + 1 < class_low_.size() ? class_low_[c + 1] : 256;
      builder_.AddEdge(
          {.low = class_low_[c], .high = static_cast<uint8_t>(end - 1), .target = target});
    }
  }

  const Nfa& nfa_;
  std::vector<bool> matters_;
  std::vector<int32_t> seen_;  // the round of Closure that saw the state last
  int32_t round_ = 0;
  std::vector<uint8_t> class_low_;         // the first byte of each class
  std::array<size_t, 256> class_of_ = {};  // per byte
  std::vector<Set> successors_;            // per class, emptied after use
  std::unordered_map<Set, Automaton::State, SetHash> numbers_;
  std::vector<const Set*> sets_;  // by number; keys of numbers_
  Automaton::Builder builder_;
  int64_t steps_ = 0;
};

}  // namespace

Automaton Determinize(const Nfa& nfa) {
  Automaton automaton = Reduce(Determinizer(nfa).Run());
  if (automaton.edges(Automaton::kStart).empty())
    ThrowInvalid("allows the empty text only, expected at least one character");
  return automaton;
}

}  // namespace binocle
