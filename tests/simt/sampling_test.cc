// Sampling on the device chooses what the CPU's Sampler chooses, whatever the filters.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "llm/sampling.h"
#include "llm/sampling_cuda.h"
#include "simt/array.h"
#include "simt/runtime.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

struct Case {
  const char* name;
  SamplingParams params;
};

class DeviceSampling : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Filters, DeviceSampling,
    ::testing::Values(Case{"greedy", {}},
                      Case{"greedy with a penalty", {.repetition_penalty = 1.5}},
                      Case{"all", {.temperature = 1}}, Case{"hot", {.temperature = 3}},
                      Case{"top k", {.temperature = 1, .top_k = 5}},
                      Case{"top k 1", {.temperature = 1, .top_k = 1}},
                      Case{"top p", {.temperature = 1, .top_p = 0.7}},
                      Case{"top p 0", {.temperature = 1, .top_p = 0}},
                      Case{"min p", {.temperature = 0.8, .min_p = 0.2}},
                      Case{"everything",
                           {.temperature = 0.7,
                            .top_k = 40,
                            .top_p = 0.9,
                            .min_p = 0.05,
                            .repetition_penalty = 1.2}}));

// Logits with many ties: a step of a quarter.
std::vector<float> TiedLogits(size_t count, Numbers& numbers) {
  std::vector<float> logits(count);
  for (float& x : logits) x = std::round(numbers.Normal(2) * 4) / 4;
  logits[3] = kImpossible;
  return logits;
}

int32_t SampleOnDevice(const std::vector<float>& logits, int32_t usable, const SamplingParams& p,
                       uint64_t step, const uint64_t* observed, const uint64_t* allowed) {
  const simt::Array<float> device_logits("logits", logits);
  const simt::Array<cuda::SampleParams> params(
      "params", std::vector<cuda::SampleParams>{
                    {p.temperature, static_cast<int32_t>(p.top_k), p.top_p, p.min_p,
                     static_cast<float>(p.repetition_penalty), UniformAt(p.seed, step)}});
  const simt::Array<const uint64_t*> device_observed("observed",
                                                     std::vector<const uint64_t*>{observed});
  const simt::Array<const uint64_t*> device_allowed("allowed",
                                                    std::vector<const uint64_t*>{allowed});
  const simt::Array<int32_t> ids("ids", 1);
  cuda::Sample({device_logits.data(), 1, static_cast<int32_t>(logits.size()), usable, params.data(),
                device_observed.data(), device_allowed.data(), ids.data()},
               nullptr);
  for (const simt::Report& report : simt::TakeReports()) ADD_FAILURE() << report.message;
  return ids[0];
}

TEST_P(DeviceSampling, ChoosesWhatTheCpuChooses) {
  constexpr int32_t kUsable = 997;
  SamplingParams params = GetParam().params;
  params.seed = 42;
  Sampler sampler(params, kUsable);
  Numbers numbers(1);
  for (uint64_t step = 0; step < 12; ++step) {
    const std::vector<float> logits = TiedLogits(1000, numbers);
    const auto seen = sampler.observed();
    const simt::Array<uint64_t> observed("observed ids", {seen.begin(), seen.end()});
    const int32_t got = SampleOnDevice(logits, kUsable, params, step,
                                       seen.empty() ? nullptr : observed.data(), nullptr);
    ASSERT_EQ(got, sampler.Sample(logits)) << GetParam().name << ", step " << step;
  }
}

// Long enough for a warp's stretches to be longer than the warp; most logits fall into a few digits, as a model's.
TEST(DeviceSampling, OfManyTokensChoosesWhatTheCpuChooses) {
  constexpr int32_t kUsable = 20011;
  Numbers numbers(3);
  const std::vector<float> logits = TiedLogits(kUsable + 5, numbers);
  for (const SamplingParams& params :
       {SamplingParams{.temperature = 1, .seed = 1},
        SamplingParams{.temperature = 0.9, .top_p = 0.8, .seed = 2},
        SamplingParams{.temperature = 1.2, .top_k = 700, .top_p = 0.95, .seed = 3}}) {
    Sampler sampler(params, kUsable);
    ASSERT_EQ(SampleOnDevice(logits, kUsable, params, 0, nullptr, nullptr), sampler.Sample(logits));
  }
}

TEST(DeviceSampling, ChoosesAmongWhatAConstraintAllows) {
  Numbers numbers(2);
  std::vector<float> logits = TiedLogits(300, numbers);
  std::vector<uint64_t> allowed(5, 0);
  for (const int id : {7, 130, 255, 299})
    allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  std::vector<float> masked = logits;
  for (size_t id = 0; id < masked.size(); ++id)
    if ((allowed[id / 64] >> (id % 64) & 1) == 0) masked[id] = kImpossible;
  const simt::Array<uint64_t> device_allowed("allowed ids", allowed);
  const SamplingParams params{.temperature = 2, .top_p = 0.9, .seed = 5};
  Sampler sampler(params, 300);
  for (uint64_t step = 0; step < 8; ++step)
    EXPECT_EQ(SampleOnDevice(logits, 300, params, step, nullptr, device_allowed.data()),
              sampler.Sample(masked));
}

// Any filters together, with an answer so far and a constraint or without: each filter has to count what those before it left, in scores after the penalty.
struct RandomCase {
  std::vector<float> logits;
  int32_t usable;
  SamplingParams params;
  std::vector<int32_t> seen;
  std::vector<uint64_t> allowed;  // none: all

  explicit RandomCase(Numbers& numbers) {
    const auto one_of = [&](auto... values) {
      const std::array made{values...};
      return made[static_cast<size_t>(numbers.Int(0, std::ssize(made) - 1))];
    };
    usable = one_of(1, 2, 31, 64, 65, 300, 700);
    logits = std::vector<float>(static_cast<size_t>(usable) + 3, 50);  // rows that no token has
    const float mean = one_of(-4.0F, 0.0F, 4.0F), step = one_of(1.0F, 0.01F);
    for (int32_t id = 0; id < usable; ++id)
      logits[static_cast<size_t>(id)] = mean + std::round(numbers.Normal(2) / step) * step;
    params = {.temperature = one_of(0.0, 0.5, 1.0, 3.0),
              .top_k = one_of(0, 0, 1, 3, 40, 5000),
              .top_p = one_of(1.0, 1.0, 0.9, 0.5, 0.05),
              .min_p = one_of(0.0, 0.0, 0.05, 0.5, 1.0),
              .repetition_penalty = one_of(1.0, 1.3, 5.0),
              .seed = numbers.Bits()};
    for (int32_t id = 0; id < usable; ++id)
      if (numbers.Uniform() < 0.4) seen.push_back(id);
    // Those that a penalty moves most must be among the seen, or it decides nothing.
    const auto most = std::max_element(logits.begin(), logits.begin() + usable);
    seen.push_back(static_cast<int32_t>(most - logits.begin()));
    const double density = one_of(0.0, 0.02, 0.5);
    if (density == 0) return;
    // Rows that no token has are allowed, and are not to come out.
    allowed.assign((logits.size() + 63) / 64, 0);
    for (int32_t id = 0; id < static_cast<int32_t>(logits.size()); ++id)
      if (numbers.Uniform() < density || id == usable / 2 || id >= usable)
        allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }

  std::vector<float> Masked() const {
    std::vector<float> masked = logits;
    for (size_t id = 0; id < masked.size() && !allowed.empty(); ++id)
      if ((allowed[id / 64] >> (id % 64) & 1) == 0) masked[id] = kImpossible;
    return masked;
  }
};

TEST(DeviceSampling, OfAnyFiltersTogetherChoosesWhatTheCpuChooses) {
  Numbers numbers(6);
  int64_t of_some_allowed = 0;
  for (int i = 0; i < 120; ++i) {
    const RandomCase c(numbers);
    Sampler sampler(c.params, c.usable);
    sampler.Observe(c.seen);
    const auto bits = sampler.observed();
    const simt::Array<uint64_t> observed("observed ids", {bits.begin(), bits.end()});
    const simt::Array<uint64_t> allowed("allowed ids", c.allowed);
    const int32_t got =
        SampleOnDevice(c.logits, c.usable, c.params, 0, bits.empty() ? nullptr : observed.data(),
                       c.allowed.empty() ? nullptr : allowed.data());
    ASSERT_EQ(got, sampler.Sample(c.Masked())) << "case " << i;
    of_some_allowed += c.params.temperature > 0 && !c.allowed.empty() && c.params.top_k > 1 ? 1 : 0;
  }
  EXPECT_GT(of_some_allowed, 15);
}

// Of two equal tokens one has half of the weight, and that is less than a hair more than half asks for.
TEST(DeviceSampling, TopPIsReachedAndNotNearly) {
  std::vector<float> logits(70, kImpossible);
  logits[5] = logits[9] = 1;
  const SamplingParams params{.temperature = 1, .top_p = 0.5 + std::ldexp(1.0, -42), .seed = 3};
  Sampler sampler(params, 70);
  std::set<int32_t> chosen;
  for (uint64_t step = 0; step < 12; ++step) {
    const int32_t id = SampleOnDevice(logits, 70, params, step, nullptr, nullptr);
    ASSERT_EQ(id, sampler.Sample(logits)) << step;
    chosen.insert(id);
  }
  EXPECT_EQ(chosen.size(), 2);
}

// −0 and 0 are equal logits, of which the lowest id counts, and as many tokens of top-k.
TEST(DeviceSampling, ZerosOfBothSignsAreEqual) {
  std::vector<float> logits(70, -3.0F);
  logits[5] = -0.0F;
  logits[9] = 0.0F;
  for (const int64_t top_k : {0, 1, 2}) {
    for (const double temperature : {0.0, 1.0}) {
      SamplingParams params{.temperature = temperature, .seed = 3};
      params.top_k = static_cast<decltype(params.top_k)>(top_k);
      Sampler sampler(params, 70);
      for (uint64_t step = 0; step < 6; ++step)
        ASSERT_EQ(SampleOnDevice(logits, 70, params, step, nullptr, nullptr),
                  sampler.Sample(logits))
            << top_k << ' ' << temperature << ' ' << step;
    }
  }
}

TEST(DeviceSampling, SaysWhenLogitsAreBroken) {
  std::vector<float> logits(70, 0.0F);
  logits[69] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(SampleOnDevice(logits, 70, {}, 0, nullptr, nullptr), cuda::kBrokenLogits);
  logits[69] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(SampleOnDevice(logits, 70, {}, 0, nullptr, nullptr), cuda::kBrokenLogits);
  // Of a token that is forbidden, too: what a model made of the others is not to be trusted.
  const simt::Array<uint64_t> allowed("allowed ids", std::vector<uint64_t>{1, 0});
  EXPECT_EQ(SampleOnDevice(logits, 70, {}, 0, nullptr, allowed.data()), cuda::kBrokenLogits);
  EXPECT_EQ(SampleOnDevice(std::vector<float>(70, kImpossible), 70, {}, 0, nullptr, nullptr),
            cuda::kNothingPossible);
}

}  // namespace
}  // namespace binocle
