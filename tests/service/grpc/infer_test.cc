// KServe's requests with faults, and vectors from visual tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "service/grpc/convert_infer.h"
#include "service/grpc/worker_pool.h"
#include "tests/service/grpc/testing.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using testing::Parse;

const char* const kPrompt =
    "inputs { name: 'prompt' datatype: 'BYTES' shape: 1 contents { bytes_contents: 'a' } }";

std::vector<std::string> FaultsOf(const std::string& text) {
  Violations violations;
  AskRequestOf(Parse<inference::ModelInferRequest>(text), violations);
  std::vector<std::string> fields;
  for (const FieldViolation& violation : violations.list()) fields.push_back(violation.field);
  return fields;
}

TEST(Infer, AGoodRequestHasNoFaults) {
  Violations violations;
  const v1::AskRequest ask = AskRequestOf(
      Parse<inference::ModelInferRequest>(
          std::string(kPrompt) +
          R"(model_version: '1' parameters { key: 'max_new_tokens' value { int64_param: 5 } }
          parameters { key: 'top_p' value { double_param: 0.5 } } parameters { key: 'seed' value { uint64_param: 7 } }
          parameters { key: 'system' value { string_param: 's' } } outputs { name: 'answer' })"),
      violations);
  EXPECT_TRUE(violations.empty()) << violations.Summary();
  EXPECT_EQ(ask.prompt(), "a");
  EXPECT_EQ(ask.sampling().max_new_tokens(), 5);
  EXPECT_EQ(ask.sampling().top_p(), 0.5);
  EXPECT_EQ(ask.sampling().seed(), 7U);
  EXPECT_EQ(ask.system(), "s");
}

TEST(Infer, FaultsSayWhatWasExpected) {
  const auto summary = [](const std::string& text) {
    Violations violations;
    AskRequestOf(Parse<inference::ModelInferRequest>(text), violations);
    return violations.Summary();
  };
  const std::string prompt = kPrompt;
  EXPECT_EQ(summary(""), "inputs have no prompt, expected one");
  EXPECT_EQ(summary(prompt + "parameters { key: 'seed' value { int64_param: -1 } }"),
            "parameters[seed] is negative, expected 0 to 2^64 - 1");
  EXPECT_EQ(summary(prompt + "parameters { key: 'top_k' value { int64_param: 1099511627776 } }"),
            "parameters[top_k] is out of range, expected a number of 32 bits");
  EXPECT_EQ(summary(prompt + "parameters { key: 'top_k' value { double_param: 1.5 } }"),
            "parameters[top_k] has a value of another type than the option");
  std::string empty;
  for (int i = 0; i < 5000; ++i) empty += "\\000\\000\\000\\000";
  EXPECT_EQ(
      summary("inputs { name: 'prompt' datatype: 'BYTES' shape: 5000 } raw_input_contents: '" +
              empty + "'"),
      "raw_input_contents[0] has more than 4096 elements, the limit");
}

TEST(Infer, FaultsHaveTheirPlaces) {
  const std::string prompt = kPrompt;
  EXPECT_THAT(FaultsOf(prompt + "model_version: '2'"), ElementsAre("model_version"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'gone' value {} }"),
              ElementsAre("parameters[gone]"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'top_k' value { double_param: 1.5 } }"),
              ElementsAre("parameters[top_k]"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'top_k' value { int64_param: 3000000000 } }"),
              ElementsAre("parameters[top_k]"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'seed' value { int64_param: -1 } }"),
              ElementsAre("parameters[seed]"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'stop' value { bool_param: true } }"),
              ElementsAre("parameters[stop]"));
  EXPECT_THAT(FaultsOf(prompt + "parameters { key: 'system' value { int64_param: 1 } }"),
              ElementsAre("parameters[system]"));
  EXPECT_THAT(FaultsOf(prompt + prompt), ElementsAre("inputs[1]"));
  EXPECT_THAT(FaultsOf("inputs { name: 'prompt' datatype: 'BYTES' shape: 0 }"),
              ElementsAre("inputs[0]"));
  EXPECT_THAT(FaultsOf(prompt + "inputs { name: 'gone' datatype: 'BYTES' shape: 0 }"),
              ElementsAre("inputs[1].name"));
  EXPECT_THAT(FaultsOf(prompt + "inputs { name: 'image' datatype: 'FP32' shape: 0 }"),
              ElementsAre("inputs[1].datatype"));
  EXPECT_THAT(FaultsOf(prompt + "inputs { name: 'image' datatype: 'BYTES' shape: 2 }"),
              ElementsAre("inputs[1].shape"));
  EXPECT_THAT(FaultsOf(prompt + "inputs { name: 'image' datatype: 'BYTES' shape: -1 shape: -1 }"),
              ElementsAre("inputs[1].shape"));
  EXPECT_THAT(FaultsOf(prompt + "outputs { name: 'gone' }"), ElementsAre("outputs[0].name"));
  EXPECT_THAT(FaultsOf(prompt + "outputs { name: 'answer' parameters { key: 'a' value {} } }"),
              ElementsAre("outputs[0].parameters"));
  EXPECT_THAT(FaultsOf("inputs { name: 'image' datatype: 'BYTES' shape: 0 }"),
              ElementsAre("inputs"));
  EXPECT_THAT(FaultsOf("inputs { name: 'prompt' datatype: 'BYTES' shape: 1 } raw_input_contents: "
                       "'\\007\\000\\000\\000say'"),
              ElementsAre("raw_input_contents[0]"));

  EXPECT_THAT(
      FaultsOf("inputs { name: 'prompt' datatype: 'BYTES' shape: 1 contents { bytes_contents: "
               "'say' } } raw_input_contents: '\\003\\000\\000\\000say'"),
      ElementsAre("inputs[0].contents"));
  EXPECT_THAT(
      FaultsOf("inputs { name: 'prompt' datatype: 'BYTES' shape: 1 contents { bytes_contents: "
               "'say' int_contents: 3 } }"),
      ElementsAre("inputs[0].contents"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += "inputs { name: 'prompt' } ";
  EXPECT_THAT(FaultsOf(many), ElementsAre("inputs"));
}

}  // namespace
}  // namespace binocle
