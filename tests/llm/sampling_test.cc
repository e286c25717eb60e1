#include "llm/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "binocle/error.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Two tied maxima, values of both signs, one that is nearly impossible.
const std::vector<float> kLogits = {2.5F,  -1.25F, 0.75F,  2.5F, -3.0F, 1.5F,
                                    0.25F, -0.5F,  1.875F, 0.0F, -6.0F, 1.0F};
const std::vector<int32_t> kPrompt = {3, 0, 1, 3, 8};

// What Sample returns at step 0 for seeds 0 … draws − 1.
std::vector<int> CountDraws(SamplingParams params, std::span<const float> logits,
                            std::span<const int32_t> prompt, int draws) {
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) {
    params.seed = static_cast<uint64_t>(i);
    Sampler sampler(params, static_cast<int32_t>(logits.size()));
    sampler.Observe(prompt);
    ++counts[static_cast<size_t>(sampler.Sample(logits))];
  }
  return counts;
}

// Pearson's statistic against `expected`; tokens of probability 0 must not occur at all.
double ChiSquare(const std::vector<int>& counts, const std::vector<double>& expected) {
  const double draws = std::accumulate(counts.begin(), counts.end(), 0.0);
  double statistic = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0.0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " is filtered and came out";
    } else {
      const double difference = counts[i] - expected[i] * draws;
      statistic += difference * difference / (expected[i] * draws);
    }
  }
  return statistic;
}

std::string ParamsErrorOf(const SamplingParams& params) {
  return testing::ErrorOf([&] { CheckSamplingParams(params); });
}

Code CodeOf(const std::vector<float>& logits, double temperature) {
  try {
    Sampler({.temperature = temperature}, static_cast<int32_t>(logits.size())).Sample(logits);
  } catch (const Error& e) {
    return e.code();
  }
  return Code::kUnknown;
}

struct OracleCase {
  const char* name;
  SamplingParams params;
  std::vector<double> probabilities;
};

// Probabilities from transformers 4.57.6 (torch, f32 filters, f64 softmax): RepetitionPenaltyLogitsProcessor,
// TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MinPLogitsWarper on kLogits with input_ids kPrompt.
const std::vector<OracleCase> kOracle = {
    {"plain",
     {.temperature = 1},
     {0.2804951, 0.0065966, 0.0487427, 0.2804951, 0.0011463, 0.1031884, 0.029564, 0.013965,
      0.1501382, 0.0230244, 5.71e-05, 0.0625869}},
    {"temperature",
     {.temperature = 0.7},
     {0.3406332, 0.0016059, 0.0279609, 0.3406332, 0.0001318, 0.0816331, 0.013688, 0.0046884,
      0.1394839, 0.0095771, 1.8e-06, 0.0399628}},
    {"top_k",
     {.temperature = 1.3, .top_k = 5},
     {0.2943689, 0, 0, 0.2943689, 0, 0.1364015, 0, 0, 0.1820105, 0, 0, 0.0928502}},
    {"top_p",
     {.temperature = 1, .top_p = 0.6},
     {0.3944366, 0, 0, 0.3944366, 0, 0, 0, 0, 0.2111267, 0, 0, 0}},
    {"min_p",
     {.temperature = 0.8, .min_p = 0.2},
     {0.3643866, 0, 0, 0.3643866, 0, 0.1043985, 0, 0, 0.1668283, 0, 0, 0}},
    {"penalty",
     {.temperature = 1, .repetition_penalty = 1.3},
     {0.2252792, 0.0064835, 0.0697044, 0.2252792, 0.0016393, 0.1475642, 0.0422779, 0.0199706,
      0.1392918, 0.032926, 8.16e-05, 0.0895022}},
    {"all",
     {.temperature = 0.9, .top_k = 7, .top_p = 0.8, .min_p = 0.1, .repetition_penalty = 1.2},
     {0.3242923, 0, 0, 0.3242923, 0, 0.1696092, 0, 0, 0.1818062, 0, 0, 0}},
    {"reward",
     {.temperature = 2, .top_p = 0.9, .repetition_penalty = 0.8},
     {0.2370743, 0, 0.0723036, 0.2370743, 0, 0.1052011, 0.0563101, 0, 0.1604125, 0.0496935, 0,
      0.0819307}},
};

TEST(Sampling, DrawsFollowTheReferenceDistribution) {
  for (const OracleCase& c : kOracle) {
    const auto prompt = c.params.repetition_penalty == 1.0 ? std::vector<int32_t>() : kPrompt;
    // 11 degrees of freedom at most: 40 is exceeded by chance in less than one of 10,000 runs, and the seeds are fixed.
    EXPECT_LT(ChiSquare(CountDraws(c.params, kLogits, prompt, 200000), c.probabilities), 40.0)
        << c.name;
  }
}

TEST(Sampling, StepsOfOneSequenceAreIndependentDraws) {
  // One sampler, many steps: pairs of neighbouring draws fill the whole product space.
  const std::vector<float> logits = {0.0F, 0.0F, 0.0F, 0.0F};
  Sampler sampler({.temperature = 1, .seed = 7}, 4);
  std::vector<int> pairs(16);
  int32_t previous = sampler.Sample(logits);
  for (int i = 0; i < 160000; ++i) {
    const int32_t next = sampler.Sample(logits);
    ++pairs[static_cast<size_t>(previous * 4 + next)];
    previous = next;
  }
  EXPECT_LT(ChiSquare(pairs, std::vector<double>(16, 1.0 / 16)),
            45.0);  // 15 degrees of freedom, 1 in 10,000
}

TEST(Sampling, GreedyTakesTheLowestIdOfEqualLogits) {
  Sampler sampler({}, 12);
  EXPECT_EQ(sampler.Sample(kLogits), 0);
  EXPECT_EQ(sampler.Sample(kLogits), 0);
}

TEST(Sampling, GreedyAppliesTheRepetitionPenalty) {
  Sampler sampler({.repetition_penalty = 1.5}, 12);
  sampler.Observe(kPrompt);               // 0: 2.5 → 1.667, 3: likewise, 8: 1.875 → 1.25
  EXPECT_EQ(sampler.Sample(kLogits), 0);  // 1.667 > 1.5
  Sampler again({.repetition_penalty = 1.5}, 3);
  const std::vector<float> logits = {1.0F, 0.9F, 0.8F};
  EXPECT_EQ(again.Sample(logits), 0);
  EXPECT_EQ(again.Sample(logits), 1) << "the answer's own tokens are penalised too";
  EXPECT_EQ(again.Sample(logits), 2);
  EXPECT_EQ(again.Sample(logits), 0);
}

TEST(Sampling, PenaltyMakesNegativeLogitsMoreNegative) {
  Sampler sampler({.repetition_penalty = 2}, 2);
  sampler.Observe(std::vector<int32_t>{0});
  EXPECT_EQ(sampler.Sample(std::vector<float>{-1.0F, -1.5F}), 1);
}

TEST(Sampling, RowsBeyondTheVocabularyNeverComeOut) {
  std::vector<float> logits(kLogits);
  logits.push_back(50.0F);
  logits.push_back(std::nanf(""));
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler({.temperature = temperature}, 12);
    sampler.Observe(std::vector<int32_t>{-200, 13, 1 << 30});
    for (int i = 0; i < 1000; ++i) EXPECT_LT(sampler.Sample(logits), 12);
  }
}

TEST(Sampling, MaskedTokensNeverComeOut) {
  Sampler sampler({.temperature = 5}, 3);
  for (int i = 0; i < 1000; ++i)
    EXPECT_NE(sampler.Sample(std::vector<float>{0.0F, -kInf, 0.0F}), 1);
}

TEST(Sampling, ATinyTemperatureIsGreedy) {
  Sampler sampler({.temperature = 1e-300}, 3);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(sampler.Sample(std::vector<float>{1.0F, 1.0001F, -kInf}), 1);
}

TEST(Sampling, EveryFilterKeepsAtLeastOneToken) {
  Sampler sampler({.temperature = 1, .top_k = 1, .top_p = 0.0, .min_p = 1.0}, 12);
  for (int i = 0; i < 100; ++i) {
    const int32_t id = sampler.Sample(kLogits);
    EXPECT_TRUE(id == 0 || id == 3) << id;
  }
}

TEST(Sampling, FiltersMatchBruteForceOnRandomRows) {
  for (uint64_t row = 0; row < 300; ++row) {
    std::vector<float> logits(37);
    for (size_t i = 0; i < logits.size(); ++i)
      logits[i] = static_cast<float>(std::floor(UniformAt(row, i) * 24.0) / 4.0);  // with ties
    const auto k = static_cast<size_t>(1 + 40 * UniformAt(row, 100));
    const double p = UniformAt(row, 101);
    const double m = 0.5 * UniformAt(row, 102);
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    double total = 0.0;
    std::vector<bool> allowed(logits.size());
    for (const size_t i : order) {
      if (logits[i] >= logits[order[std::min(k, order.size()) - 1]])
        total += std::exp(static_cast<double>(logits[i]));
    }
    double before = 0.0;
    for (const size_t i : order) {
      const double probability = std::exp(static_cast<double>(logits[i])) / total;
      const bool in_k = logits[i] >= logits[order[std::min(k, order.size()) - 1]];
      allowed[i] = in_k && before < p &&
                   probability >= m * std::exp(static_cast<double>(logits[order[0]])) / total;
      if (in_k) before += probability;
    }
    allowed[order[0]] = true;
    Sampler sampler(
        {.temperature = 1, .top_k = static_cast<int64_t>(k), .top_p = p, .min_p = m, .seed = row},
        37);
    for (int i = 0; i < 50; ++i) {
      const auto id = static_cast<size_t>(sampler.Sample(logits));
      EXPECT_TRUE(allowed[id]) << "row " << row << ": token " << id << " came out with k=" << k
                               << " p=" << p << " m=" << m;
    }
  }
}

TEST(Sampling, TheSeedDecidesTheSequence) {
  const auto sequence = [](uint64_t seed) {
    Sampler sampler({.temperature = 1.5, .top_k = 8, .top_p = 0.95, .seed = seed}, 12);
    std::vector<int32_t> ids;
    for (int i = 0; i < 24; ++i) ids.push_back(sampler.Sample(kLogits));
    return ids;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
  EXPECT_NE(sequence(0), sequence(~uint64_t{0}));
}

// The generator is part of the contract: an answer must not change with the compiler, the library or the release.
TEST(Sampling, TheGeneratorIsFixed) {
  // Computed with Python integers: SplitMix64's finaliser over mix(seed + φ) + (step + 1)·φ.
  EXPECT_EQ(UniformAt(0, 0), 0x1.4e0dba5e9a32fp-1);
  EXPECT_EQ(UniformAt(0, 1), 0x1.6705460be8829p-1);
  EXPECT_EQ(UniformAt(42, 1000), 0x1.63f919049aa49p-1);
}

TEST(Sampling, BrokenLogitsAreInternalErrors) {
  for (const double temperature : {0.0, 1.0}) {
    EXPECT_EQ(CodeOf({0.0F, std::nanf(""), 1.0F}, temperature), Code::kInternal);
    EXPECT_EQ(CodeOf({0.0F, kInf, 1.0F}, temperature), Code::kInternal);
    EXPECT_EQ(CodeOf({-kInf, -kInf}, temperature), Code::kInternal);
  }
  EXPECT_THROW(LogProbs(std::vector<float>{0.0F, std::nanf("")}, 2, 1), Error);
}

TEST(Sampling, OptionsOutOfRangeNameTheOptionAndTheRange) {
  EXPECT_EQ(ParamsErrorOf({.temperature = -0.5}),
            "INVALID_ARGUMENT: temperature is -0.5, expected 0 to 100");
  EXPECT_EQ(ParamsErrorOf({.temperature = std::nan("")}),
            "INVALID_ARGUMENT: temperature is nan, expected 0 to 100");
  EXPECT_EQ(ParamsErrorOf({.top_k = -1}),
            "INVALID_ARGUMENT: top_k is -1, expected 0 (off) or more");
  EXPECT_EQ(ParamsErrorOf({.top_p = 1.5}), "INVALID_ARGUMENT: top_p is 1.5, expected 0 to 1");
  EXPECT_EQ(ParamsErrorOf({.min_p = -1}), "INVALID_ARGUMENT: min_p is -1, expected 0 to 1");
  EXPECT_EQ(ParamsErrorOf({.repetition_penalty = 0}),
            "INVALID_ARGUMENT: repetition_penalty is 0, expected 0.01 to 100");
  EXPECT_EQ(ParamsErrorOf({.temperature = 100, .top_k = 1 << 30, .top_p = 0, .min_p = 1}),
            "no error");
}

TEST(LogProbs, EqualTheReferenceSoftmax) {
  // torch.log_softmax of kLogits in f64.
  const std::vector<double> expected = {-1.271198906, -5.021198906, -3.021198906, -1.271198906,
                                        -6.771198906, -2.271198906, -3.521198906, -4.271198906,
                                        -1.896198906, -3.771198906, -9.771198906, -2.771198906};
  const auto top = LogProbs(kLogits, 12, 12);
  ASSERT_EQ(top.size(), 12u);
  const std::vector<int32_t> order = {0, 3, 8, 5, 11, 2, 6, 9, 7, 1, 4, 10};
  for (size_t i = 0; i < top.size(); ++i) {
    EXPECT_EQ(top[i].id, order[i]);
    EXPECT_NEAR(top[i].value, expected[static_cast<size_t>(top[i].id)], 1e-8);
  }
}

TEST(LogProbs, KeepsTheFirstK) {
  const auto top = LogProbs(kLogits, 12, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].id, 0);
  EXPECT_EQ(top[1].id, 3);
  EXPECT_EQ(top[2].id, 8);
  EXPECT_TRUE(LogProbs(kLogits, 12, 0).empty());
  EXPECT_EQ(LogProbs(kLogits, 12, 1000).size(), 12u);
}

TEST(LogProbs, PaddingRowsCountInTheSumAndAreNotListed) {
  const auto top = LogProbs(kLogits, 2, 12);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].id, 0);
  EXPECT_NEAR(top[0].value, LogProbs(kLogits, 12, 1)[0].value, 1e-12);
}

TEST(LogProbs, ImpossibleTokensAreLeftOut) {
  EXPECT_EQ(LogProbs(std::vector<float>{0.0F, -kInf, 1.0F}, 3, 3).size(), 2u);
}

TEST(LogProbs, HugeLogitsDoNotOverflow) {
  const auto top = LogProbs(std::vector<float>{3e38F, 3e38F, -3e38F}, 3, 2);
  EXPECT_NEAR(top[0].value, -std::log(2.0), 1e-12);
}

}  // namespace
}  // namespace binocle
