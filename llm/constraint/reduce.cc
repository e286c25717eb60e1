#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "llm/constraint/automaton.h"

namespace binocle {
namespace {

using State = Automaton::State;

// Which states lead to an accepting one.
std::vector<bool> UsefulStates(const Automaton& automaton) {
  const auto n = static_cast<size_t>(automaton.size());
  std::vector<int64_t> first(n + 1, 0);  // of the edges into a state, as in Automaton
  for (State s = 0; s < automaton.size(); ++s) {
    for (const auto& edge : automaton.edges(s)) ++first[static_cast<size_t>(edge.target) + 1];
  }
  for (size_t i = 0; i < n; ++i) first[i + 1] += first[i];
  std::vector<State> sources(static_cast<size_t>(first[n]));
  std::vector<int64_t> next = first;
  for (State s = 0; s < automaton.size(); ++s) {
    for (const auto& edge : automaton.edges(s))
      sources[static_cast<size_t>(next[static_cast<size_t>(edge.target)]++)] = s;
  }
  std::vector<bool> useful(n);
  std::vector<State> stack;
  for (State s = 0; s < automaton.size(); ++s) {
    if (!automaton.accepting(s)) continue;
    useful[static_cast<size_t>(s)] = true;
    stack.push_back(s);
  }
  while (!stack.empty()) {
    const auto s = static_cast<size_t>(stack.back());
    stack.pop_back();
    for (int64_t i = first[s]; i < first[s + 1]; ++i) {
      const State source = sources[static_cast<size_t>(i)];
      if (useful[static_cast<size_t>(source)]) continue;
      useful[static_cast<size_t>(source)] = true;
      stack.push_back(source);
    }
  }
  return useful;
}

// States so that every one comes after those it leads to, but for cycles.
std::vector<State> PostOrder(const Automaton& automaton, const std::vector<bool>& useful) {
  struct Frame {
    State state = 0;
    size_t edge = 0;
  };
  std::vector<bool> seen(useful.size());
  std::vector<State> order;
  std::vector<Frame> stack = {{Automaton::kStart}};
  seen[Automaton::kStart] = true;
  while (!stack.empty()) {
    Frame& frame = stack.back();
    const auto edges = automaton.edges(frame.state);
    if (frame.edge == edges.size()) {
      order.push_back(frame.state);
      stack.pop_back();
      continue;
    }
    const State target = edges[frame.edge++].target;
    const auto t = static_cast<size_t>(target);
    if (!useful[t] || seen[t]) continue;
    seen[t] = true;
    stack.push_back({target});
  }
  return order;
}

// A state's edges with each target replaced by the state that stands for it; a loop by kLoop, so that equal loops are equal.
struct Row {
  static constexpr State kLoop = -2;

  bool accepting = false;
  std::vector<Automaton::Edge> edges;
  bool operator==(const Row&) const = default;
};

struct RowHash {
  size_t operator()(const Row& row) const {
    uint64_t hash = row.accepting ? 1 : 2;
    for (const auto& [low, high, target] : row.edges) {
      hash = (hash ^ low ^ uint64_t{high} << 8 ^ static_cast<uint64_t>(target) << 16) *
             0x9E3779B97F4A7C15u;
      hash ^= hash >> 31;
    }
    return static_cast<size_t>(hash);
  }
};

class Merger {
 public:
  Merger(const Automaton& automaton, const std::vector<bool>& useful)
      : automaton_(automaton), useful_(useful), stands_for_(useful.size()) {
    for (size_t i = 0; i < stands_for_.size(); ++i) stands_for_[i] = static_cast<State>(i);
  }

  // Makes equal rows one state. One pass finds everything that no cycle hides.
  void Merge(const std::vector<State>& order) {
    std::unordered_map<Row, State, RowHash> states;
    for (const State state : order) {
      auto& representative = stands_for_[static_cast<size_t>(state)];
      if (representative == state)
        representative = states.try_emplace(RowOf(state), state).first->second;
    }
  }

  Automaton Rebuild() const {
    std::vector<State> number(stands_for_.size(), Automaton::kDead);
    std::vector<State> states = {Find(Automaton::kStart)};
    number[static_cast<size_t>(states[0])] = Automaton::kStart;
    Automaton::Builder builder;
    for (size_t i = 0; i < states.size(); ++i) {
      builder.AddState(automaton_.accepting(states[i]));
      for (Automaton::Edge edge : automaton_.edges(states[i])) {
        if (!useful_[static_cast<size_t>(edge.target)]) continue;
        const State target = Find(edge.target);
        State& n = number[static_cast<size_t>(target)];
        if (n == Automaton::kDead) {
          n = static_cast<State>(states.size());
          states.push_back(target);
        }
        edge.target = n;
        builder.AddEdge(edge);
      }
    }
    return std::move(builder).Build();
  }

 private:
  State Find(State state) const {
    while (stands_for_[static_cast<size_t>(state)] != state)
      state = stands_for_[static_cast<size_t>(state)];
    return state;
  }

  Row RowOf(State state) const {
    Row row{.accepting = automaton_.accepting(state)};
    for (Automaton::Edge edge : automaton_.edges(state)) {
      if (!useful_[static_cast<size_t>(edge.target)]) continue;
      const State target = Find(edge.target);
      edge.target = target == state ? Row::kLoop : target;
      auto& edges = row.edges;
      if (!edges.empty() && edges.back().target == edge.target &&
          edges.back().high + 1 == edge.low) {
        edges.back().high = edge.high;
      } else {
        edges.push_back(edge);
      }
    }
    return row;
  }

  const Automaton& automaton_;
  const std::vector<bool>& useful_;
  std::vector<State> stands_for_;
};

}  // namespace

Automaton Reduce(const Automaton& automaton) {
  const std::vector<bool> useful = UsefulStates(automaton);
  if (!useful[Automaton::kStart]) ThrowInvalid("allows no text at all");
  Merger merger(automaton, useful);
  // The second pass sees the loops that the first has closed. More would find little: states that stay apart cost a mask each, no more.
  const std::vector<State> order = PostOrder(automaton, useful);
  merger.Merge(order);
  merger.Merge(order);
  return merger.Rebuild();
}

}  // namespace binocle
