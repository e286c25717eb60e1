// What happens to a score before the softmax. Chosen per run, resolved at compile time inside the kernel.
//
//   plain     s                         the scaled product q·k
//   KeyGain   s + g_j·c_h·|s|           hallucination modulation, PAI (docs/interventions.md); −∞ stays −∞
//   KeyBias   s + b_j                   a bias per key
//   SoftCap   cap·tanh(s / cap)         Gemma 2
//
// j is the key's position, h the query head. Spans are borrowed and must outlive the call.
#pragma once

#include <span>
#include <variant>

namespace binocle {

struct PlainScore {};

struct KeyGain {
  std::span<const float> gain;         // g [keys]
  std::span<const float> head_factor;  // c [H]; empty: 1 for every head
};

struct KeyBias {
  std::span<const float> bias;  // b [keys]
};

struct SoftCap {
  float cap = 0;  // > 0
};

using ScoreVariant = std::variant<PlainScore, KeyGain, KeyBias, SoftCap>;

}  // namespace binocle
