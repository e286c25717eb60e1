// A nondeterministic automaton over bytes, built front to back.
//
// Every Add… method takes the state to go on from and returns the state where the addition ends. No addition makes an edge into the
// state it goes on from, so that several may go on from one.
//
//   Nfa nfa;
//   const auto open = nfa.AddText(Nfa::kStart, "[");
//   nfa.Accept(nfa.AddRegex(open, node));
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "llm/constraint/code_points.h"
#include "llm/constraint/regex_parser.h"

namespace binocle {

class Nfa {
 public:
  using State = int32_t;
  static constexpr State kStart = 0;
  static constexpr State kNone = -1;
  static constexpr size_t kMaxStates = 200'000;  // above: RESOURCE_EXHAUSTED

  // A transition on any byte of a range, or on nothing.
  struct Edge {
    State target = kNone;
    int32_t next = -1;  // the state's next edge, an index into edges()
    ByteRange bytes = {};
    bool empty = false;
  };

  Nfa();

  State NewState();
  void AddEmpty(State from, State to);
  void AddBytes(State from, ByteRange bytes, State to);

  State AddText(State from, std::string_view text);
  // One character of the set.
  State AddCharacter(State from, const CodePoints& set);
  State AddRegex(State from, const RegexNode& node);
  // The whole text matches; anchors say nothing more then.
  State AddRegex(State from, const ParsedRegex& regex);

  void Accept(State state) { AddEmpty(state, accepting_); }
  State accepting() const { return accepting_; }

  size_t size() const { return first_.size(); }
  const std::vector<Edge>& edges() const { return edges_; }
  // The state's first edge, −1 for none.
  int32_t FirstEdge(State state) const { return first_[static_cast<size_t>(state)]; }

 private:
  State AddRepeat(State from, const RegexNode& node);

  std::vector<int32_t> first_;
  std::vector<Edge> edges_;
  State accepting_ = kNone;
};

}  // namespace binocle
