// A deterministic automaton over bytes: the language of a constraint.
//
// Every state is reachable and leads to an accepting one, so that a text is a beginning of the language exactly when it can be walked.
// All texts of the language are UTF-8. Immutable; may be used from several threads.
//
//   const Automaton automaton = Determinize(nfa);
//   bool matches = automaton.Accepts("a text");
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/constraint/nfa.h"

namespace binocle {

class Automaton {
 public:
  using State = int32_t;
  static constexpr State kStart = 0;
  static constexpr State kDead = -1;

  // A transition on bytes low … high.
  struct Edge {
    uint8_t low = 0;
    uint8_t high = 0;
    State target = kDead;
    bool operator==(const Edge&) const = default;
  };

  // Adds states in the order of their numbers; a state's edges ascend and do not overlap.
  class Builder {
   public:
    void AddState(bool accepting);
    // To the newest state. Joins the edge before it where that has the same target.
    void AddEdge(Edge edge);
    size_t size() const { return accepting_.size(); }
    Automaton Build() &&;

   private:
    std::vector<Edge> edges_;
    std::vector<int64_t> first_;
    std::vector<bool> accepting_;
  };

  // kDead when no text of the language goes on like that.
  State Step(State state, uint8_t byte) const;
  State Walk(State state, std::string_view bytes) const;
  bool Accepts(std::string_view text) const;

  bool accepting(State state) const { return accepting_[static_cast<size_t>(state)]; }
  std::span<const Edge> edges(State state) const;
  int32_t size() const { return static_cast<int32_t>(accepting_.size()); }
  // Of memory.
  size_t bytes() const {
    return edges_.size() * sizeof(Edge) + first_.size() * sizeof(int64_t) + accepting_.size() / 8;
  }

  // What may come next, for people: "'a' to 'z', '\"'".
  std::string Expected(State state) const;

 private:
  Automaton() = default;

  std::vector<Edge> edges_;
  std::vector<int64_t> first_;  // size() + 1 of them
  std::vector<bool> accepting_;
};

// The deterministic automaton of the same language. Throws INVALID_ARGUMENT when that is empty or holds the empty text alone, and
// RESOURCE_EXHAUSTED above kMaxAutomatonStates, or when finding the states takes more than kMaxAutomatonSteps, a measure of time and
// memory that is the same on every machine.
inline constexpr size_t kMaxAutomatonStates = 32768;
inline constexpr int64_t kMaxAutomatonSteps = int64_t{1} << 24;
Automaton Determinize(const Nfa& nfa);

// The texts themselves, at least one. No limit of its own: there are at most as many states as bytes, and one.
Automaton AnyOfTexts(std::vector<std::string> texts);

// Without the states that lead nowhere, and with one in place of those that are visibly the same; kStart stays. Throws
// INVALID_ARGUMENT when no state accepts.
Automaton Reduce(const Automaton& automaton);

}  // namespace binocle
