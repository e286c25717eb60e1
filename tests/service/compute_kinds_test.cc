// What fewer bits do to the distributions of the golden models, which are held to transformers' in f32.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "binocle/engine.h"
#include "tests/testing/golden.h"
#include "tests/testing/test_engine.h"
#include "tests/testing/tolerances.h"

namespace binocle {
namespace {

using testing::GoldenCase;

class ComputeKinds : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, ComputeKinds, ::testing::Values("bf16", "int8", "int4"),
                         [](const auto& test) { return test.param; });

// Every token's log-probability as the first of an answer, by id.
std::map<int32_t, double> FirstToken(Engine& engine, const GoldenCase& golden, const Json& json) {
  std::vector<ImageInput> images;
  for (const Json& image : json["images"])
    images.push_back(ImageInput::FromFile(golden.directory() / image.get<std::string>()));
  Request request = Ask(json["prompt"], std::move(images));
  request.prompt_format = json["prompt_format"] == "raw" ? PromptFormat::kRaw : PromptFormat::kChat;
  request.generation.max_new_tokens = 1;
  request.generation.logprobs = engine.info().vocabulary;
  std::map<int32_t, double> distribution;
  const Response response = engine.Generate(std::move(request));
  for (const auto& token : response.answers.at(0).logprobs.at(0))
    distribution[token.id] = token.value;
  return distribution;
}

// Logarithm of the sum of all probabilities: not quite 0, since each was rounded to f32.
double LogSum(const std::map<int32_t, double>& p) {
  double sum = 0;
  for (const auto& [id, value] : p) sum += std::exp(value);
  return std::log(sum);
}

// Σ p·ln(p / q) of the two once their sums are 1: never less than zero then.
double Divergence(std::map<int32_t, double> p, std::map<int32_t, double> q) {
  for (auto* each : {&p, &q}) {
    const double log_sum = LogSum(*each);
    for (auto& [id, value] : *each) value -= log_sum;
  }
  double sum = 0;
  for (const auto& [id, value] : p)
    if (std::isfinite(value)) sum += std::exp(value) * (value - q.at(id));
  return sum;
}

TEST_P(ComputeKinds, DistributionsStayNearThoseOfF32) {
  double sum = 0, largest = 0;
  int64_t count = 0;
  for (const std::string& name : testing::AnsweringGoldenModels()) {
    const GoldenCase golden(name);
    const std::string path = golden.directory().string();
    Engine reference = testing::LoadEngine(path, {}),
           compact = testing::LoadEngine(path, {.compute = GetParam()});
    for (const Json& json : golden.json()["requests"]) {
      const double kl =
          Divergence(FirstToken(reference, golden, json), FirstToken(compact, golden, json));
      EXPECT_GE(kl, -1e-12) << name;
      sum += kl;
      largest = std::max(largest, kl);
      ++count;
    }
  }
  EXPECT_LE(sum / static_cast<double>(count), testing::ToleranceOf("kl", GetParam()).relative)
      << "of " << count << " first tokens; largest " << largest;
  EXPECT_GT(largest, 0) << "nothing was computed with fewer bits";
}

}  // namespace
}  // namespace binocle
