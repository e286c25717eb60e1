// From logits to the next token.
//
//   logits → repetition penalty → ÷ temperature → top-k → top-p → min-p → draw
//   temperature 0: argmax after the penalty
//
// The filters, their order and their ties are those of Hugging Face's logits processors; each keeps at least one token.
// Same parameters, same logits, same step: same token, whoever shares the batch. Random numbers are the same on every
// platform; only the last bit of std::exp may differ there.
// Reference: transformers 4.57.6 generation/logits_process.py.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace binocle {

struct SamplingParams {
  double temperature = 0.0;  // 0: greedy
  int64_t top_k = 0;   // keep the k most probable tokens and those as probable as the k-th; 0: all
  double top_p = 1.0;  // keep the fewest tokens that together have this probability; 1: all
  double min_p = 0.0;  // keep tokens at least this probable, relative to the most probable one
  double repetition_penalty =
      1.0;  // above 1: tokens of the prompt and of the answer so far become less likely
  uint64_t seed = 0;
};

// Throws INVALID_ARGUMENT with the option, what was found and the range.
void CheckSamplingParams(const SamplingParams& params);

// Chooses the tokens of one sequence. After construction nothing is allocated.
class Sampler {
 public:
  // Only ids below `usable` ever come out: a model's embedding table may have rows that no token uses.
  Sampler(const SamplingParams& params, int32_t usable);

  // Tokens of the prompt, for the repetition penalty. Ids that cannot come out are ignored.
  void Observe(std::span<const int32_t> ids);

  // The next token; it is observed at once. Of equal logits the lowest id is the greedy choice.
  // logits: one row of the vocabulary, at least `usable` long. Throws INTERNAL for NaN, +∞ or nothing but −∞.
  int32_t Sample(std::span<const float> logits);

  // The same on a GPU (llm/device_sampling.h): what it takes, and what becomes of its choice. Throws as Sample does, and for a NaN or +∞ of a
  // token that a constraint forbids as well.
  const SamplingParams& params() const { return params_; }
  std::span<const uint64_t> observed() const;  // a bit per id; empty where no penalty asks for it
  double NextUniform() const;
  int32_t Take(int32_t chosen);

  // Gives its buffers back: nothing is sampled after this.
  void Free() { candidates_ = {}; }

 private:
  struct Candidate {
    double score = 0.0;   // penalised logit
    double weight = 0.0;  // exp((score − best) / temperature)
    int32_t id = 0;
  };

  float Penalised(float logit, size_t id) const;
  int32_t Greedy(std::span<const float> logits) const;
  void FillCandidates(std::span<const float> logits);
  void KeepTopK();
  void KeepTopP();
  void KeepMinP();
  int32_t Draw();
  void Chosen(int32_t id);

  SamplingParams params_;
  size_t usable_;
  uint64_t step_ = 0;
  std::vector<uint64_t> observed_;  // a bit per id
  std::vector<Candidate> candidates_;
};

// Uniform in [0, 1), a function of (seed, step) alone.
double UniformAt(uint64_t seed, uint64_t step);

struct TokenLogProb {
  int32_t id = 0;
  double value = 0.0;  // natural logarithm
};

// The k most probable tokens below `usable`, most probable first, then by id; tokens of probability 0 are left out. The
// softmax is over the whole row as the model computed it, before penalty, temperature and filters. Throws INTERNAL like
// Sample.
std::vector<TokenLogProb> LogProbs(std::span<const float> logits, int32_t usable, int64_t k);

// That of one token below `usable`; −∞ where its probability is 0.
double LogProb(std::span<const float> logits, int32_t usable, int32_t id);

}  // namespace binocle
