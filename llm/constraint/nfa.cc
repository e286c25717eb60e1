#include "llm/constraint/nfa.h"

#include "core/error.h"

namespace binocle {

Nfa::Nfa() {
  NewState();
  accepting_ = NewState();
}

Nfa::State Nfa::NewState() {
  if (first_.size() == kMaxStates) {
    Throw(Code::kResourceExhausted, "its automaton needs more than ", kMaxStates,
          " nondeterministic states, the limit; smaller repetitions need fewer");
  }
  first_.push_back(-1);
  return static_cast<State>(first_.size() - 1);
}

void Nfa::AddEmpty(State from, State to) {
  int32_t& first = first_[static_cast<size_t>(from)];
  edges_.push_back({.target = to, .next = first, .empty = true});
  first = static_cast<int32_t>(edges_.size() - 1);
}

void Nfa::AddBytes(State from, ByteRange bytes, State to) {
  int32_t& first = first_[static_cast<size_t>(from)];
  edges_.push_back({.target = to, .next = first, .bytes = bytes});
  first = static_cast<int32_t>(edges_.size() - 1);
}

Nfa::State Nfa::AddText(State from, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    const State to = NewState();
    AddBytes(from, {byte, byte}, to);
    from = to;
  }
  return from;
}

// Sequences that end alike share their ends: all of `.` is eight states.
Nfa::State Nfa::AddCharacter(State from, const CodePoints& set) {
  struct Suffix {
    ByteRange bytes;
    State to;
    State state;
  };
  const State end = NewState();
  std::vector<Suffix> suffixes;
  for (const Utf8Sequence& sequence : Utf8Sequences(set)) {
    State to = end;
    for (size_t i = sequence.length; i-- > 1;) {
      const ByteRange bytes = sequence.bytes[i];
      // The newest first: neighbours in the set share most. More than a few are not worth the search.
      State state = kNone;
      const size_t oldest = suffixes.size() > 16 ? suffixes.size() - 16 : 0;
      for (size_t k = suffixes.size(); k-- > oldest && state == kNone;) {
        const Suffix& s = suffixes[k];
        if (s.to == to && s.bytes.low == bytes.low && s.bytes.high == bytes.high) state = s.state;
      }
      if (state == kNone) {
        state = NewState();
        AddBytes(state, bytes, to);
        suffixes.push_back({bytes, to, state});
      }
      to = state;
    }
    AddBytes(from, sequence.bytes[0], to);
  }
  return end;
}

Nfa::State Nfa::AddRegex(State from, const RegexNode& node) {
  switch (node.kind) {
    case RegexNode::Kind::kCharacter: return AddCharacter(from, node.set);
    case RegexNode::Kind::kRepeat: return AddRepeat(from, node);
    case RegexNode::Kind::kSequence: {
      // A state even for nothing, so that repetitions of nothing run into the limit too.
      const State begin = NewState();
      AddEmpty(from, begin);
      State end = begin;
      for (const RegexNode& child : node.children) end = AddRegex(end, child);
      return end;
    }
    case RegexNode::Kind::kAnyOf: {
      const State end = NewState();
      for (const RegexNode& child : node.children) AddEmpty(AddRegex(from, child), end);
      return end;
    }
  }
  return kNone;
}

Nfa::State Nfa::AddRegex(State from, const ParsedRegex& regex) {
  const State end = NewState();
  for (const RegexBranch& branch : regex.branches) AddEmpty(AddRegex(from, branch.node), end);
  return end;
}

Nfa::State Nfa::AddRepeat(State from, const RegexNode& node) {
  const RegexNode& child = node.children[0];
  const bool endless = node.max == RegexNode::kUnbounded;
  // The last copy of an endless repetition is the one that loops.
  for (int i = 0; i + (endless ? 1 : 0) < node.min; ++i) from = AddRegex(from, child);
  if (endless) {
    const State begin = NewState();
    AddEmpty(from, begin);
    const State end = AddRegex(begin, child);
    AddEmpty(end, begin);
    return node.min == 0 ? begin : end;
  }
  // Every copy may be the last: one edge to the end from each keeps the sets of the determinisation small.
  const State end = NewState();
  for (int i = node.min; i < node.max; ++i) {
    AddEmpty(from, end);
    from = AddRegex(from, child);
  }
  AddEmpty(from, end);
  return end;
}

}  // namespace binocle
