// How far a model's next-token distributions move when other layers are composite, over its own answers about some pictures.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "binocle/calibrate.h"
#include "service/engine/engine_access.h"

namespace binocle {

// Σ p·ln(p/q) in nats, p = softmax(from), q = softmax(to), both [V]. Never below 0, and 0 where both are the same to the bit.
double KlDivergence(std::span<const float> from, std::span<const float> to);

class CompositeMeter {
 public:
  // Asks about each picture of `input` on its own, greedily and with the layers as the engine has them, and keeps the pictures' visual
  // tokens and the logits of every token of the answers. `engine` must outlive this. Throws what asking throws.
  CompositeMeter(Engine& engine, const CalibrationInput& input);

  struct Movement {
    double mean = 0;  // nats per token: KL divergence from the layers as they are to `plan`
    int64_t changed_tokens = 0;  // where another token than the answer's is the most probable
  };
  // The same answers again, token by token as they were, under `plan`. Equal to the bit in whatever order the pictures were given.
  Movement Measure(const LayerPlan& plan) const;
  // How much of the visual rows' multiply-adds `plan` saves: 0 … 1, below 0 where it takes more than the layers as they are.
  double Saved(const LayerPlan& plan) const;

  int64_t tokens() const { return tokens_; }  // of all answers

 private:
  struct Asked {
    ExpandedPrompt prompt;
    SharedImage image;
    std::vector<int32_t> answer;
    std::vector<std::vector<float>> logits;  // [answer][V]
  };
  Asked Ask(const CalibrationInput& input, const ImageInput& image) const;
  SharedImage For(const LayerPlan& plan, const SharedImage& image) const;

  EngineAccess engine_;
  std::vector<Asked> asked_;
  int64_t tokens_ = 0;
};

}  // namespace binocle
