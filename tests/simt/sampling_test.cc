// Sampling on the device chooses what the CPU's Sampler chooses, whatever the filters.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
  EXPECT_EQ(SampleOnDevice(std::vector<float>(70, kImpossible), 70, {}, 0, nullptr, nullptr),
            cuda::kNothingPossible);
}

}  // namespace
}  // namespace binocle
