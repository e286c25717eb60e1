#include "llm/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "llm/sampling_cuda.h"

namespace binocle {
namespace {

constexpr double kMaxTemperature = 100.0;
constexpr double kMinPenalty = 0.01;
constexpr double kMaxPenalty = 100.0;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

void CheckRow(std::span<const float> logits, size_t usable) {
  BINOCLE_CHECK(logits.size() >= usable, logits.size(), " logits, ", usable, " usable tokens");
}

void CheckLogit(float logit, size_t id) {
  if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity()) {
    Throw(Code::kInternal, "the logit of token ", id, " is ", logit,
          ", expected a finite number: the model's weights or its arithmetic are broken");
  }
}

[[noreturn]] void NothingPossible() {
  Throw(Code::kInternal, "every logit is -inf: no token is possible");
}

void SetBit(size_t id, std::span<uint64_t> words) { words[id / 64] |= uint64_t{1} << id % 64; }
bool HasBit(size_t id, std::span<const uint64_t> words) {
  return (words[id / 64] >> id % 64 & 1) != 0;
}

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// What turns a logit into a log-probability: logit − best − log_sum.
struct Normaliser {
  float best;
  double log_sum;  // of exp(logit − best)
};

Normaliser NormaliserOf(std::span<const float> logits, int32_t usable) {
  CheckRow(logits, static_cast<size_t>(usable));
  float best = kMinusInfinity;
  for (size_t id = 0; id < logits.size(); ++id) {
    CheckLogit(logits[id], id);
    best = std::max(best, logits[id]);
  }
  if (best == kMinusInfinity) NothingPossible();
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return {best, std::log(sum)};
}

}  // namespace

void CheckSamplingParams(const SamplingParams& params) {
  CheckOption("temperature", params.temperature, 0.0, kMaxTemperature);
  if (params.top_k < 0) ThrowOption("top_k", "is ", params.top_k, ", expected 0 (off) or more");
  CheckOption("top_p", params.top_p, 0.0, 1.0);
  CheckOption("min_p", params.min_p, 0.0, 1.0);
  CheckOption("repetition_penalty", params.repetition_penalty, kMinPenalty, kMaxPenalty);
}

double UniformAt(uint64_t seed, uint64_t step) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  // The seed is mixed first, so that neighbouring seeds are not neighbouring places of one stream.
  const uint64_t bits = Mix(Mix(seed + kGolden) + (step + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Sampler::Sampler(const SamplingParams& params, int32_t usable)
    : params_(params), usable_(static_cast<size_t>(usable)) {
  CheckSamplingParams(params);
  BINOCLE_CHECK(usable > 0, usable);
  observed_.resize((usable_ + 63) / 64);
  if (params_.temperature > 0.0) candidates_.reserve(usable_);
}

std::span<const uint64_t> Sampler::observed() const {
  if (params_.repetition_penalty == 1.0) return {};
  return observed_;
}

void Sampler::Observe(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    if (id >= 0 && static_cast<size_t>(id) < usable_) SetBit(static_cast<size_t>(id), observed_);
  }
}

int32_t Sampler::Sample(std::span<const float> logits) {
  CheckRow(logits, usable_);
  int32_t chosen = -1;
  if (params_.temperature == 0.0) {
    chosen = Greedy(logits);
  } else {
    FillCandidates(logits);
    KeepTopK();
    KeepTopP();
    KeepMinP();
    chosen = Draw();
  }
  Chosen(chosen);
  return chosen;
}

void Sampler::Chosen(int32_t id) {
  ++step_;
  SetBit(static_cast<size_t>(id), observed_);
}

double Sampler::NextUniform() const { return UniformAt(params_.seed, step_); }

int32_t Sampler::Take(int32_t chosen) {
  if (chosen == cuda::kNothingPossible) NothingPossible();
  if (chosen < 0 || static_cast<size_t>(chosen) >= usable_) {
    Throw(Code::kInternal,
          "a logit is no finite number: the model's weights or its arithmetic are ", "broken");
  }
  Chosen(chosen);
  return chosen;
}

// In f32, like the reference, so that greedy choices agree to the last bit.
float Sampler::Penalised(float logit, size_t id) const {
  CheckLogit(logit, id);
  if (params_.repetition_penalty == 1.0 || !HasBit(id, observed_)) return logit;
  const auto penalty = static_cast<float>(params_.repetition_penalty);
  return logit < 0.0F ? logit * penalty : logit / penalty;
}

int32_t Sampler::Greedy(std::span<const float> logits) const {
  float best = kMinusInfinity;
  int32_t chosen = -1;
  for (size_t id = 0; id < usable_; ++id) {
    const float score = Penalised(logits[id], id);
    if (score > best) {
      best = score;
      chosen = static_cast<int32_t>(id);
    }
  }
  if (chosen < 0) NothingPossible();
  return chosen;
}

void Sampler::FillCandidates(std::span<const float> logits) {
  candidates_.clear();
  double best = kMinusInfinity;
  for (size_t id = 0; id < usable_; ++id) {
    const double score = Penalised(logits[id], id);
    if (score == kMinusInfinity) continue;
    best = std::max(best, score);
    candidates_.push_back({.score = score, .id = static_cast<int32_t>(id)});
  }
  if (candidates_.empty()) NothingPossible();
  for (Candidate& c : candidates_) c.weight = std::exp((c.score - best) / params_.temperature);
}

void Sampler::KeepTopK() {
  const auto k = static_cast<size_t>(params_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto higher = [](const Candidate& a, const Candidate& b) { return a.score > b.score; };
  std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k - 1),
                   candidates_.end(), higher);
  const double least = candidates_[k - 1].score;
  std::erase_if(candidates_, [&](const Candidate& c) { return c.score < least; });
}

// A token stays when those before it, the more probable ones, have less than top_p together. Only as many are put in
// order as stay.
void Sampler::KeepTopP() {
  if (params_.top_p >= 1.0) return;
  double total = 0.0;
  for (const Candidate& c : candidates_) total += c.weight;
  const auto later = [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score < b.score : a.id > b.id;
  };
  std::make_heap(candidates_.begin(), candidates_.end(), later);
  auto rest =
      candidates_
          .end();  // the heap is [begin, rest), the kept tokens follow it, the most probable last
  double before = 0.0;
  do {
    std::pop_heap(candidates_.begin(), rest, later);
    --rest;
    before += rest->weight;
  } while (rest != candidates_.begin() && before < params_.top_p * total);
  candidates_.erase(candidates_.begin(), rest);
}

void Sampler::KeepMinP() {
  if (params_.min_p <= 0.0) return;
  // The best token has weight 1 and always stays.
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < params_.min_p; });
}

int32_t Sampler::Draw() {
  // nth_element leaves an order that is the library's own affair; ids make the draw the same everywhere.
  const bool reordered = params_.top_k > 0 || params_.top_p < 1.0;
  const auto by_id = [](const Candidate& a, const Candidate& b) { return a.id < b.id; };
  if (reordered) std::sort(candidates_.begin(), candidates_.end(), by_id);
  double total = 0.0;
  for (const Candidate& c : candidates_) total += c.weight;
  const double target = UniformAt(params_.seed, step_) * total;
  double sum = 0.0;
  for (const Candidate& c : candidates_) {
    sum += c.weight;
    if (sum > target) return c.id;
  }
  return candidates_.back().id;  // unreachable but for rounding: target < total
}

double LogProb(std::span<const float> logits, int32_t usable, int32_t id) {
  const auto [best, log_sum] = NormaliserOf(logits, usable);
  return static_cast<double>(logits[static_cast<size_t>(id)]) - best - log_sum;
}

std::vector<TokenLogProb> LogProbs(std::span<const float> logits, int32_t usable, int64_t k) {
  const auto [best, log_sum] = NormaliserOf(logits, usable);
  // A heap of the k best so far, the least of them in front.
  const auto better = [](const TokenLogProb& a, const TokenLogProb& b) {
    return a.value != b.value ? a.value > b.value : a.id < b.id;
  };
  const auto kept = static_cast<size_t>(std::clamp<int64_t>(k, 0, usable));
  std::vector<TokenLogProb> top;
  top.reserve(kept + 1);
  for (int32_t id = 0; id < usable && kept > 0; ++id) {
    const TokenLogProb candidate{
        .id = id, .value = static_cast<double>(logits[static_cast<size_t>(id)]) - best - log_sum};
    if (candidate.value == kMinusInfinity ||
        (top.size() == kept && !better(candidate, top.front())))
      continue;
    top.push_back(candidate);
    std::push_heap(top.begin(), top.end(), better);
    if (top.size() <= kept) continue;
    std::pop_heap(top.begin(), top.end(), better);
    top.pop_back();
  }
  std::sort_heap(top.begin(), top.end(), better);
  return top;
}

}  // namespace binocle
