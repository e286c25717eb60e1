// Requests with faults: each has its code and the path of its field, and all faults of a request are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/grpc/convert_request.h"
#include "service/grpc/status.h"
#include "tests/service/grpc/testing.h"

namespace binocle {
namespace {

using testing::DetailOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MapImages;
using testing::Parse;
using testing::SmallModel;

struct BadRequest {
  const char* name;
  std::string text;  // of an AskRequest; an absent prompt is added
  const char* field;
  const char* words;  // in the description
  grpc::StatusCode code = grpc::StatusCode::INVALID_ARGUMENT;
};

// Tests that fail are called by their names.
void PrintTo(const BadRequest& bad, std::ostream* out) { *out << bad.name; }

RequestLimits SmallLimits() {
  return {.images = {.max_images = 3, .max_image_bytes = 8, .max_request_image_bytes = 12},
          .max_messages = 5,
          .max_prompt_bytes = 100,
          .max_texts = 2,
          .max_id_bytes = 4};
}

template <typename Proto, typename Convert>
Violations ViolationsOf(const Proto& proto, const Convert& convert) {
  const ModelInfo model = SmallModel();
  const RequestLimits limits = SmallLimits();
  MapImages images;
  Violations violations;
  convert(proto, ConvertContext{model, limits, images}, violations);
  return violations;
}

Violations AskViolations(const v1::AskRequest& request) {
  return ViolationsOf(request, [](const auto& proto, const auto& context, Violations& violations) {
    RequestOf(proto, context, violations);
  });
}

std::string NameOfTest(const ::testing::TestParamInfo<BadRequest>& tested) {
  return tested.param.name;
}

class BadRequestsTest : public ::testing::TestWithParam<BadRequest> {};

TEST_P(BadRequestsTest, HaveACodeAndAField) {
  const BadRequest& bad = GetParam();
  v1::AskRequest request = Parse<v1::AskRequest>(bad.text);
  if (!request.has_prompt() && request.messages().empty() && std::string(bad.name) != "NoPrompt")
    request.set_prompt("What?");
  const grpc::Status status = StatusOf(AskViolations(request));
  EXPECT_EQ(status.error_code(), bad.code) << status.error_message();
  const auto details = DetailOf<google::rpc::BadRequest>(status);
  ASSERT_EQ(details.field_violations_size(), 1) << details.DebugString();
  EXPECT_EQ(details.field_violations(0).field(), bad.field);
  EXPECT_THAT(details.field_violations(0).description(), HasSubstr(bad.words));
  EXPECT_THAT(status.error_message(), HasSubstr(bad.field));
}

INSTANTIATE_TEST_SUITE_P(
    Prompts, BadRequestsTest,
    ::testing::Values(
        BadRequest{"NoPrompt", "", "prompt", "is not set"},
        BadRequest{"EmptyPrompt", "prompt: ''", "prompt", "is empty"},
        BadRequest{"PromptAndMessages", "prompt: 'a' messages { role: ROLE_USER text: 'a' }",
                   "messages", "both set"},
        BadRequest{"LongPrompt", "prompt: '" + std::string(101, 'a') + "'", "prompt",
                   "101 bytes, expected at most 100"},
        BadRequest{"LongSystem", "system: '" + std::string(101, 'a') + "'", "system",
                   "expected at most 100"},
        BadRequest{"LongId", "id: '12345'", "id", "has 5 bytes, expected at most 4"},
        BadRequest{"NoRole", "messages { text: 'a' }", "messages[0].role", "is not set"},
        BadRequest{"UnknownRole", "messages { role: 9 text: 'a' }", "messages[0].role", "is 9"},
        BadRequest{"AssistantFirst", "messages { role: ROLE_ASSISTANT text: 'a' }",
                   "messages[0].role", "is not user"},
        BadRequest{"UserTwice",
                   "messages { role: ROLE_USER text: 'a' } messages { role: ROLE_USER text: 'b' } "
                   "messages { role: ROLE_USER text: 'c' }",
                   "messages[1].role", "is not assistant"},
        BadRequest{
            "AssistantLast",
            "messages { role: ROLE_USER text: 'a' } messages { role: ROLE_ASSISTANT text: 'b' }",
            "messages", "expected a last one of the user"},
        BadRequest{"EmptyMessage", "messages { role: ROLE_USER }", "messages[0].text", "is empty"},
        BadRequest{"AssistantWithPicture",
                   "messages { role: ROLE_USER text: 'a' } messages { role: ROLE_ASSISTANT text: "
                   "'b' images { data: '1' } } "
                   "messages { role: ROLE_USER text: 'c' }",
                   "messages[1].images", "belong to messages of the user"},
        BadRequest{"UnknownFormat", "prompt_format: 7", "prompt_format", "is 7"},
        BadRequest{"RawWithSystem", "prompt_format: PROMPT_FORMAT_RAW system: 'a'", "system",
                   "a raw prompt"},
        BadRequest{
            "RawDialogue",
            "prompt_format: PROMPT_FORMAT_RAW messages { role: ROLE_USER text: 'a' } "
            "messages { role: ROLE_ASSISTANT text: 'b' } messages { role: ROLE_USER text: 'c' }",
            "messages", "expected one"}),
    NameOfTest);

INSTANTIATE_TEST_SUITE_P(
    Pictures, BadRequestsTest,
    ::testing::Values(
        BadRequest{"NoSource", "images {}", "images[0]", "expected one of data, id, uri"},
        BadRequest{"NoData", "images { data: '' }", "images[0].data", "is empty"},
        BadRequest{"ShortId", "images { data: '1' } images { id: 'abc' }", "images[1].id",
                   "64 lower-case"},
        BadRequest{"CapitalId", "images { id: '" + std::string(64, 'A') + "' }", "images[0].id",
                   "64 lower-case"},
        BadRequest{"UnknownId", "images { id: '" + std::string(64, 'b') + "' }", "images[0].id",
                   "is not there", grpc::StatusCode::NOT_FOUND},
        BadRequest{"RefusedUri", "images { uri: 'file:///a' }", "images[0].uri", "is refused",
                   grpc::StatusCode::PERMISSION_DENIED},
        BadRequest{"EmptyUri", "images { uri: '' }", "images[0].uri", "is empty"},
        BadRequest{"LargePicture", "images { data: '123456789' }", "images[0]",
                   "has 9 bytes, expected at most 8"},
        BadRequest{"LargePictures",
                   "images { data: '12345678' } images { data: '12345' } images { data: '1' }",
                   "images[1]", "13 bytes, expected at most 12"},
        BadRequest{
            "ManyPictures",
            "images { data: '1' } images { data: '1' } images { data: '1' } images { data: '1' }",
            "images", "expected at most 3"},
        BadRequest{"PictureOfAMessage", "messages { role: ROLE_USER text: 'a' images {} }",
                   "messages[0].images[0]", "has no source"}),
    NameOfTest);

INSTANTIATE_TEST_SUITE_P(
    Sampling, BadRequestsTest,
    ::testing::Values(
        BadRequest{"NoTokens", "sampling { max_new_tokens: 0 }", "sampling.max_new_tokens", "is 0"},
        BadRequest{"Cold", "sampling { temperature: -1 }", "sampling.temperature", "is -1"},
        BadRequest{"NotANumber", "sampling { temperature: nan }", "sampling.temperature", "nan"},
        BadRequest{"Infinite", "sampling { temperature: inf }", "sampling.temperature", "inf"},
        BadRequest{"TopK", "sampling { top_k: -1 }", "sampling.top_k", "is -1"},
        BadRequest{"TopP", "sampling { top_p: 1.5 }", "sampling.top_p", "is 1.5"},
        BadRequest{"MinP", "sampling { min_p: -0.5 }", "sampling.min_p", "is -0.5"},
        BadRequest{"Penalty", "sampling { repetition_penalty: 0 }", "sampling.repetition_penalty",
                   "is 0"},
        BadRequest{"NoAnswers", "sampling { n: 0 }", "sampling.n", "is 0"},
        BadRequest{"ManyAnswers", "sampling { n: 65 }", "sampling.n", "is 65"},
        BadRequest{"EmptyStop", "sampling { stop: 'a' stop: '' }", "sampling.stop[1]", "empty"},
        BadRequest{"LongStop", "sampling { stop: '" + std::string(1025, 'a') + "' }",
                   "sampling.stop[0]", "1025"},
        BadRequest{"Logprobs", "logprobs: 101", "logprobs", "is 101"},
        BadRequest{"NegativeLogprobs", "logprobs: -1", "logprobs", "is -1"},
        BadRequest{"Priority", "priority: 101", "priority", "is 101, expected -100 to 100"},
        BadRequest{"NoConstraint", "constraint {}", "constraint", "has no kind"},
        BadRequest{"NoChoices", "constraint { choices {} }", "constraint.choices.values",
                   "has 0 texts"},
        BadRequest{"EmptyChoice", "constraint { choices { values: 'a' values: '' } }",
                   "constraint.choices.values[1]", "is empty"},
        BadRequest{"EmptyRegex", "constraint { regex: '' }", "constraint.regex", "is empty"},
        BadRequest{"LongSchema", "constraint { json_schema: '" + std::string(65537, 'a') + "' }",
                   "constraint.json_schema", "65537"}),
    NameOfTest);

INSTANTIATE_TEST_SUITE_P(
    Interventions, BadRequestsTest,
    ::testing::Values(
        BadRequest{"VarP", "interventions { var { p: 2 } }", "interventions.var.p",
                   "is 2, expected 0 to 1"},
        BadRequest{"VarRho", "interventions { var { rho: nan } }", "interventions.var.rho", "nan"},
        BadRequest{"VarTau", "interventions { var { tau: -1 } }", "interventions.var.tau", "is -1"},
        BadRequest{"VarMass", "interventions { var { mass: 1.1 } }", "interventions.var.mass",
                   "is 1.1"},
        BadRequest{"VarDims", "interventions { var { dims: 1 dims: -1 } }",
                   "interventions.var.dims[1]", "is -1"},
        BadRequest{"VarCompat", "interventions { var { compat: 5 } }", "interventions.var.compat",
                   "is 5"},
        BadRequest{"NoFirst", "interventions { var { layers { last: 1 } } }",
                   "interventions.var.layers.first", "is not set"},
        BadRequest{"NoLast", "interventions { var { layers { first: 1 } } }",
                   "interventions.var.layers.last", "is not set"},
        BadRequest{"Backwards", "interventions { pai { layers { first: 3 last: 2 } } }",
                   "interventions.pai.layers.last", "is 2, expected first, 3"},
        BadRequest{"NegativeLayer", "interventions { pai { layers { first: -3 last: 2 } } }",
                   "interventions.pai.layers.first", "is -3"},
        BadRequest{"ModulateAlpha", "interventions { modulate { alpha: 11 } }",
                   "interventions.modulate.alpha", "is 11"},
        BadRequest{"ModulateHeads", "interventions { modulate { heads: 3 } }",
                   "interventions.modulate.heads", "is 3"},
        BadRequest{"ModulateStart", "interventions { modulate { start: 3 } }",
                   "interventions.modulate.start", "is 3"},
        BadRequest{"PaiAlpha", "interventions { pai { alpha: -11 } }", "interventions.pai.alpha",
                   "is -11"},
        BadRequest{"Gamma", "images { data: '1' } interventions { guidance { gamma: 101 } }",
                   "interventions.guidance.gamma", "is 101"},
        BadRequest{"VcdSteps", "images { data: '1' } interventions { vcd { steps: 1000 } }",
                   "interventions.vcd.steps", "is 1000"},
        BadRequest{"ModulateAndPai", "interventions { modulate {} pai {} }",
                   "interventions.modulate", "and pai"},
        BadRequest{"GuidanceAndVcd", "images { data: '1' } interventions { guidance {} vcd {} }",
                   "interventions.guidance", "and vcd"},
        BadRequest{"NoPicture", "interventions { vcd {} }", "interventions.vcd",
                   "needs a picture"}),
    NameOfTest);

INSTANTIATE_TEST_SUITE_P(
    Attention, BadRequestsTest,
    ::testing::Values(
        BadRequest{"UnknownKind", "attention { kind: 4 }", "attention.kind", "is 4"},
        BadRequest{"UnknownAligner", "attention { aligner: 4 }", "attention.aligner", "is 4"},
        BadRequest{"StockLayers",
                   "attention { kind: ATTENTION_KIND_STOCK composite_layers { first: 1 last: 2 } }",
                   "attention.composite_layers", "goes with kind composite"},
        BadRequest{"StockAligner", "attention { kind: ATTENTION_KIND_STOCK aligner: ALIGNER_VO }",
                   "attention.aligner", "goes with kind composite"},
        BadRequest{"HalfLayers", "attention { composite_layers { first: 1 } }",
                   "attention.composite_layers[0].last", "is not set"},
        BadRequest{"LayersTwice",
                   "attention { composite_layers { first: 1 last: 3 } composite_layers { first: 3 "
                   "last: 4 } }",
                   "attention.composite_layers", "3 is in it twice"}),
    NameOfTest);

TEST(BadRequests, AllFaultsAreToldAtOnce) {
  const Violations violations = AskViolations(Parse<v1::AskRequest>(
      "prompt: '' images {} sampling { temperature: -1 n: 0 } interventions { var { p: 2 } }"));
  std::vector<std::string> fields;
  for (const FieldViolation& violation : violations.list()) fields.push_back(violation.field);
  EXPECT_THAT(fields, ElementsAre("images[0]", "prompt", "sampling.temperature", "sampling.n",
                                  "interventions.var.p"));
  EXPECT_THAT(violations.Summary(), HasSubstr("(and 4 more faults)"));
}

TEST(BadRequests, FieldsThatNobodyKnowsAreRefusedWhereverTheyAre) {
  v1::AskRequest request = Parse<v1::AskRequest>("prompt: 'a' images { data: '1' } sampling {}");
  const auto add = [](google::protobuf::Message& message) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(99, 1);
  };
  add(request);
  add(*request.mutable_images(0));
  add(*request.mutable_sampling());
  const Violations violations = AskViolations(request);
  std::vector<std::string> fields;
  for (const FieldViolation& violation : violations.list()) fields.push_back(violation.field);
  EXPECT_THAT(fields, ElementsAre("99", "images[0].99", "sampling.99"));
}

TEST(BadRequests, AMillionFaultsMakeASmallStatus) {
  v1::AskRequest request;
  for (int i = 0; i < 1000; ++i) request.mutable_interventions()->mutable_var()->add_dims(-1);
  const grpc::Status status = StatusOf(AskViolations(request));
  EXPECT_THAT(status.error_message(), HasSubstr("more faults"));
  EXPECT_LE(status.error_details().size(), 4096U);
}

TEST(BadRequests, InvalidGoesBeforeOtherCodes) {
  const Violations violations = AskViolations(Parse<v1::AskRequest>(
      "prompt: 'a' images { id: '" + std::string(64, 'b') + "' } logprobs: -1"));
  EXPECT_EQ(violations.list().size(), 2U);
  EXPECT_EQ(violations.code(), Code::kInvalidArgument);
}

TEST(BadRequests, ExplainHasItsOwn) {
  const auto fields = [](const std::string& text) {
    const Violations violations =
        ViolationsOf(Parse<v1::ExplainRequest>(text),
                     [](const auto& proto, const auto& context, Violations& found) {
                       ExplainInputOf(proto, context, found);
                     });
    std::vector<std::string> found;
    for (const FieldViolation& violation : violations.list()) found.push_back(violation.field);
    return found;
  };
  EXPECT_THAT(fields("prompt: 'a'"), ElementsAre("images"));
  EXPECT_THAT(fields("prompt: 'a' images { data: '1' } sampling { n: 2 }"),
              ElementsAre("sampling.n"));
  EXPECT_THAT(fields("prompt: 'a' images { data: '1' } heads: -1 cosine: 2 layers {}"),
              ElementsAre("layers.first", "layers.last", "heads[0]", "cosine"));
  EXPECT_THAT(
      fields("prompt: 'a' images { data: '1' } faithfulness { blocks: 3 curve_points: 1025 }"),
      ElementsAre("faithfulness.blocks", "faithfulness.curve_points"));
}

TEST(BadRequests, EmbedHasItsOwn) {
  const auto fields = [](const std::string& text) {
    const Violations violations =
        ViolationsOf(Parse<v1::EmbedRequest>(text),
                     [](const auto& proto, const auto& context, Violations& found) {
                       EmbedInputOf(proto, context, found);
                     });
    std::vector<std::string> found;
    for (const FieldViolation& violation : violations.list()) found.push_back(violation.field);
    return found;
  };
  EXPECT_THAT(fields(""), ElementsAre("images"));
  EXPECT_THAT(fields("texts: ''"), ElementsAre("texts[0]"));
  EXPECT_THAT(fields("texts: 'a' texts: 'b' texts: 'c'"), ElementsAre("texts"));
  EXPECT_THAT(fields("texts: 'a' pooling: 8"), ElementsAre("pooling"));
  EXPECT_THAT(fields("texts: 'a' pooling: POOLING_CLASS_TOKEN"), ElementsAre("pooling"));
}

}  // namespace
}  // namespace binocle
