#include "llm/constraint/automaton.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/error.h"

namespace binocle {
namespace {

std::string ByteName(uint8_t byte) {
  char name[8];
  const bool printable = byte >= ' ' && byte < 0x7F;
  std::snprintf(name, sizeof name, printable ? "'%c'" : "0x%02X", byte);
  return name;
}

}  // namespace

void Automaton::Builder::AddState(bool accepting) {
  first_.push_back(static_cast<int64_t>(edges_.size()));
  accepting_.push_back(accepting);
}

void Automaton::Builder::AddEdge(Edge edge) {
  const bool first = static_cast<int64_t>(edges_.size()) == first_.back();
  if (!first && edges_.back().target == edge.target && edges_.back().high + 1 == edge.low) {
    edges_.back().high = edge.high;
  } else {
    edges_.push_back(edge);
  }
}

Automaton Automaton::Builder::Build() && {
  Automaton automaton;
  first_.push_back(static_cast<int64_t>(edges_.size()));
  automaton.edges_ = std::move(edges_);
  automaton.first_ = std::move(first_);
  automaton.accepting_ = std::move(accepting_);
  return automaton;
}

std::span<const Automaton::Edge> Automaton::edges(State state) const {
  const auto i = static_cast<size_t>(state);
  return std::span(edges_).subspan(static_cast<size_t>(first_[i]),
                                   static_cast<size_t>(first_[i + 1] - first_[i]));
}

Automaton::State Automaton::Step(State state, uint8_t byte) const {
  const std::span<const Edge> all = edges(state);
  const auto edge =
      std::partition_point(all.begin(), all.end(), [byte](const Edge& e) { return e.high < byte; });
  return edge != all.end() && edge->low <= byte ? edge->target : kDead;
}

Automaton::State Automaton::Walk(State state, std::string_view bytes) const {
  for (const char byte : bytes) {
    if (state == kDead) break;
    state = Step(state, static_cast<uint8_t>(byte));
  }
  return state;
}

bool Automaton::Accepts(std::string_view text) const {
  const State state = Walk(kStart, text);
  return state != kDead && accepting(state);
}

std::string Automaton::Expected(State state) const {
  constexpr size_t kMost = 6;
  std::string names;
  const std::span<const Edge> all = edges(state);
  for (size_t i = 0; i < std::min(all.size(), kMost); ++i) {
    names += (i == 0 ? "" : ", ") + ByteName(all[i].low);
    if (all[i].high != all[i].low) names += " to " + ByteName(all[i].high);
  }
  return all.size() > kMost ? names + ", …" : names;
}

// A state is a range of the sorted texts that begin alike.
Automaton AnyOfTexts(std::vector<std::string> texts) {
  struct Range {
    size_t begin = 0;
    size_t end = 0;
    size_t depth = 0;
  };
  std::sort(texts.begin(), texts.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return static_cast<uint8_t>(x) < static_cast<uint8_t>(y);
    });
  });
  Automaton::Builder builder;
  std::vector<Range> states = {{.end = texts.size()}};
  for (size_t i = 0; i < states.size(); ++i) {
    auto [begin, end, depth] = states[i];
    builder.AddState(texts[begin].size() == depth);
    while (begin < end && texts[begin].size() == depth) ++begin;
    while (begin < end) {
      const char byte = texts[begin][depth];
      size_t same = begin;
      while (same < end && texts[same][depth] == byte) ++same;
      builder.AddEdge({.low = static_cast<uint8_t>(byte),
                       .high = static_cast<uint8_t>(byte),
                       .target = static_cast<Automaton::State>(states.size())});
      states.push_back({begin, same, depth + 1});
      begin = same;
    }
  }
  return std::move(builder).Build();
}

}  // namespace binocle
