#include "service/http/openai_request.h"

#include <gtest/gtest.h>

#include "tests/http/bodies.h"

namespace binocle::http {
namespace {

using testing::ChatBody;
using testing::ImagePart;
using testing::PngUrl;
using testing::SmallPng;
using testing::TextPart;
using testing::UserMessage;

ChatRequest Parse(const Json& body) { return ParseChatRequest(body.dump(), {}); }

ChatRequest ParseWith(const char* key, Json value) {
  Json body = ChatBody();
  body[key] = std::move(value);
  return Parse(body);
}

// The one message of a body with this content.
Message MessageOf(Json content) {
  return Parse(ChatBody(std::move(content))).request.messages.at(0);
}

TEST(ChatRequest, DefaultsAreThoseOfTheEngine) {
  const ChatRequest chat = Parse(ChatBody());
  const GenerationOptions defaults;
  EXPECT_EQ(chat.model, "tiny");
  EXPECT_FALSE(chat.stream || chat.include_usage || chat.logprobs || chat.extras);
  EXPECT_EQ(chat.request.generation.max_new_tokens, defaults.max_new_tokens);
  EXPECT_EQ(chat.request.generation.temperature, 0);
  EXPECT_EQ(chat.request.generation.logprobs, 0);
  EXPECT_EQ(chat.request.system, std::nullopt);
  ASSERT_EQ(chat.request.messages.size(), 1U);
  EXPECT_EQ(chat.request.messages[0].text, "What is this?");
}

TEST(ChatRequest, OptionsAsClientsWriteThem) {
  Json body = ChatBody();
  body.update(Json::parse(
      R"({"max_tokens": 16.0, "temperature": 1, "top_p": 0.5, "seed": 7, "stop": "\n", "n": 2, "stream": true,
    "stream_options": {"include_usage": true}, "user": "me", "metadata": {"a": "b"}, "store": false, "parallel_tool_calls": true,
    "service_tier": "auto", "response_format": {"type": "text"}, "some_new_thing": [1, {"x": 2}]})"));
  const ChatRequest chat = Parse(body);
  const GenerationOptions& g = chat.request.generation;
  EXPECT_EQ(g.max_new_tokens, 16);
  EXPECT_EQ(g.temperature, 1);
  EXPECT_EQ(g.top_p, 0.5);
  EXPECT_EQ(g.seed, 7U);
  EXPECT_EQ(g.stop, std::vector<std::string>{"\n"});
  EXPECT_EQ(g.n, 2);
  EXPECT_TRUE(chat.stream);
  EXPECT_TRUE(chat.include_usage);
}

TEST(ChatRequest, NullIsAbsent) {
  Json body = ChatBody();
  for (const char* key : {"max_tokens",
                          "max_completion_tokens",
                          "temperature",
                          "top_p",
                          "seed",
                          "stop",
                          "n",
                          "stream",
                          "stream_options",
                          "response_format",
                          "logprobs",
                          "top_logprobs",
                          "tools",
                          "logit_bias",
                          "presence_penalty",
                          "modalities",
                          "audio",
                          "top_k",
                          "binocle",
                          "user"})
    body[key] = nullptr;
  EXPECT_EQ(Parse(body).request.generation.max_new_tokens, GenerationOptions().max_new_tokens);
}

TEST(ChatRequest, EitherNameOfTheTokenLimit) {
  EXPECT_EQ(ParseWith("max_completion_tokens", 9).request.generation.max_new_tokens, 9);
  Json body = ChatBody();
  body["max_tokens"] = body["max_completion_tokens"] = 5;
  EXPECT_EQ(Parse(body).request.generation.max_new_tokens, 5);
}

TEST(ChatRequest, SeedsOfEverySign) {
  EXPECT_EQ(ParseWith("seed", 0).request.generation.seed, 0U);
  EXPECT_EQ(ParseWith("seed", -1).request.generation.seed, UINT64_MAX);
  EXPECT_EQ(ParseWith("seed", UINT64_MAX).request.generation.seed, UINT64_MAX);
}

TEST(ChatRequest, StopIsATextOrAList) {
  EXPECT_EQ(ParseWith("stop", {"a", "b"}).request.generation.stop,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(ParseWith("stop", Json::array()).request.generation.stop.empty());
}

TEST(ChatRequest, LogprobsAskForEnoughToFindTheChosenToken) {
  Json body = ChatBody();
  body["logprobs"] = true;
  EXPECT_EQ(Parse(body).request.generation.logprobs, kLogprobCandidates);
  body["top_logprobs"] = 50;
  const ChatRequest chat = Parse(body);
  EXPECT_EQ(chat.request.generation.logprobs, 50);
  EXPECT_EQ(chat.top_logprobs, 50);
}

TEST(ChatRequest, WhatDoesNothingIsNoReasonToRefuse) {
  Json body = ChatBody();
  body.update(Json::parse(
      R"({"tools": [], "tool_choice": "none", "functions": [], "logit_bias": {}, "presence_penalty": 0,
    "frequency_penalty": 0.0, "modalities": ["text"], "ignore_eos": false, "reasoning_effort": "none", "top_k": -1, "min_p": 0,
    "repetition_penalty": 1.0, "echo": false, "add_generation_prompt": true, "continue_final_message": false,
    "skip_special_tokens": true, "typical_p": 1, "best_of": 1, "mirostat": 0, "guided_json": null, "cache_prompt": true,
    "guided_decoding_backend": "auto", "request_id": "a", "some_day": {"any": "thing"}})"));
  EXPECT_NO_THROW(Parse(body));
}

TEST(ChatMessages, PicturesBeforeOrBehindTheTextComeFirst) {
  for (const Json& content : {Json::array({ImagePart(), TextPart("Why?")}),
                              Json::array({TextPart("Why?"), ImagePart()})}) {
    const Message message = MessageOf(content);
    EXPECT_EQ(message.text, "Why?");
    ASSERT_EQ(message.images.size(), 1U);
    EXPECT_EQ(message.images[0].bytes, SmallPng());
  }
}

TEST(ChatMessages, PicturesBetweenTextsStayThere) {
  const Message message = MessageOf(Json::array(
      {TextPart("Left:"), ImagePart(), TextPart("Right:"), ImagePart(), TextPart("?")}));
  EXPECT_EQ(message.text, "Left:\n<image>\nRight:\n<image>\n?");
  EXPECT_EQ(message.images.size(), 2U);
  EXPECT_EQ(message.images[1].path, "messages[0].content[3].image_url.url");
}

TEST(ChatMessages, TextsAreJoinedByLineBreaks) {
  EXPECT_EQ(MessageOf(Json::array({TextPart("a"), TextPart("b")})).text, "a\nb");
}

TEST(ChatMessages, DetailAndABareUrlAreTaken) {
  for (const char* detail : {"auto", "low", "high"}) {
    Json part = ImagePart();
    part["image_url"]["detail"] = detail;
    EXPECT_EQ(MessageOf(Json::array({part})).images.size(), 1U);
  }
  const Json bare = {{"type", "image_url"}, {"image_url", PngUrl()}};
  EXPECT_EQ(MessageOf(Json::array({bare})).images.size(), 1U);
}

TEST(ChatMessages, SystemAndTurns) {
  Json body = ChatBody();
  body["messages"] =
      Json::parse(R"([{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": "Hi", "name": "Ann"},
    {"role": "assistant", "content": "Hello.", "refusal": null, "tool_calls": null, "function_call": null, "annotations": []},
    {"role": "user", "content": "Why?"}])");
  const Request request = Parse(body).request;
  EXPECT_EQ(request.system, "Be brief.");
  ASSERT_EQ(request.messages.size(), 3U);
  EXPECT_EQ(request.messages[1].role, MessageRole::kAssistant);
  EXPECT_EQ(request.messages[1].text, "Hello.");
}

TEST(BinocleOptions, EveryMember) {
  const ChatRequest chat = ParseWith(
      "binocle",
      Json::parse(R"({"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.2, "grounding": true,
    "priority": -3, "prompt_format": "raw", "constraint": {"choices": ["yes", "no"]},
    "attention": {"kind": "composite", "composite_layers": "0-3,7", "aligner": "vo_ffn"},
    "interventions": {"var": {"p": 0.5, "rho": 0.4, "tau": 9, "mass": 0.1, "layers": "2-30", "dims": [5, 7], "compat": "release"},
      "modulate": {"alpha": 1, "beta": 2, "local": 0.3, "spatial": 0.1, "layers": "3", "heads": "calibrated", "start": "decode"},
      "pai": {"alpha": 0.3, "start": "decode"}, "guidance": {"gamma": 2}, "vcd": {"steps": 100}}})"));
  const Request& r = chat.request;
  EXPECT_TRUE(chat.extras);
  EXPECT_EQ(r.generation.top_k, 40);
  EXPECT_EQ(r.generation.min_p, 0.1);
  EXPECT_EQ(r.generation.repetition_penalty, 1.2);
  EXPECT_TRUE(r.grounding);
  EXPECT_EQ(r.priority, -3);
  EXPECT_EQ(r.prompt_format, PromptFormat::kRaw);
  EXPECT_EQ(std::get<Choices>(r.constraint).values, (std::vector<std::string>{"yes", "no"}));
  EXPECT_EQ(r.attention.kind, AttentionKind::kComposite);
  EXPECT_EQ(r.attention.composite_layers->Text(), "0-3,7");
  EXPECT_EQ(r.attention.aligner, Aligner::kVoFfn);
  const Interventions& i = r.interventions;
  EXPECT_EQ(i.var->tau, 9);
  EXPECT_EQ(i.var->layers->last, 30);
  EXPECT_EQ(i.var->dims, (std::vector<int64_t>{5, 7}));
  EXPECT_EQ(i.var->compat, VarOptions::Compat::kRelease);
  EXPECT_EQ(i.modulate->heads, ModulationOptions::Heads::kCalibrated);
  EXPECT_EQ(i.modulate->layers->first, 3);
  EXPECT_EQ(i.modulate->layers->last, 3);
  EXPECT_EQ(i.pai->start, InterventionStart::kDecode);
  EXPECT_EQ(i.guidance->gamma, 2);
  EXPECT_EQ(i.guidance->cut, GuidanceOptions().cut);
  EXPECT_EQ(i.vcd->steps, 100);
}

TEST(BinocleOptions, AnEmptyInterventionIsOneWithDefaults) {
  const Request r =
      ParseWith("binocle", Json::parse(R"({"interventions": {"var": {}, "vcd": null}})")).request;
  ASSERT_TRUE(r.interventions.var);
  EXPECT_EQ(r.interventions.var->p, VarOptions().p);
  EXPECT_FALSE(r.attention.kind || r.attention.composite_layers || r.attention.aligner);
  EXPECT_FALSE(r.interventions.vcd);
}

TEST(ResponseFormat, ASchemaKeepsTheOrderOfItsMembers) {
  const std::string schema =
      R"({"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}})";
  const Json format = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "x"}, {"strict", true}, {"schema", Json::parse(schema)}}}};
  EXPECT_EQ(std::get<JsonSchema>(ParseWith("response_format", format).request.constraint).schema,
            schema);
}

TEST(InBodyTerms, GivesOptionsTheNamesThatTheBodyHas) {
  Json body = ChatBody();
  body["max_completion_tokens"] = 5;
  const ChatRequest chat = Parse(body);
  const auto told = [&](const char* option) {
    return InBodyTerms(Error(Code::kInvalidArgument, std::string(option) + " is bad", option),
                       chat);
  };
  EXPECT_EQ(told("max_new_tokens").message(), "max_completion_tokens is bad");
  EXPECT_EQ(told("max_new_tokens").option(), "max_completion_tokens");
  EXPECT_EQ(told("top_k").option(), "binocle.top_k");
  EXPECT_EQ(told("var.p").option(), "binocle.interventions.var.p");
  EXPECT_EQ(told("logprobs").option(), "top_logprobs");
  EXPECT_EQ(told("n").option(), "n");
  EXPECT_EQ(told("constraint").option(), "binocle.constraint");
  const Error picture = InBodyTerms(
      Error(Code::kResourceExhausted, "messages[0].content[1].image_url.url: is too large"), chat);
  EXPECT_EQ(picture.option(), "messages[0].content[1].image_url.url");
  const Error pictures(Code::kResourceExhausted, "request: has 70 pictures, the limit is 64");
  EXPECT_EQ(InBodyTerms(pictures, chat).option(), "messages");
  EXPECT_EQ(InBodyTerms(Error(Code::kResourceExhausted, "the queue is full"), chat).option(), "");
}

TEST(ExplainRequest, IsAChatWithOptions) {
  Json body = ChatBody(Json::array({ImagePart(), TextPart("Why?")}));
  body["explain"] = Json::parse(R"({"layers": "1-3", "heads": [0, 2], "cosine": 0.8})");
  const ExplainRequest explain = ParseExplainRequest(body.dump(), {});
  EXPECT_EQ(explain.chat.request.messages[0].text, "Why?");
  EXPECT_EQ(explain.options.layers->last, 3);
  EXPECT_EQ(explain.options.heads, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(explain.options.cosine, 0.8);
}

TEST(EmbeddingRequest, InputsOfEveryKind) {
  const auto parse = [](const Json& input) {
    return ParseEmbeddingRequest(Json{{"model", "tiny"}, {"input", input}}.dump(), {}).inputs;
  };
  EXPECT_EQ(parse("a").at(0).text, "a");
  EXPECT_EQ(parse({"a", "b"}).at(1).text, "b");
  EXPECT_EQ(parse(ImagePart()).at(0).image->bytes, SmallPng());
  const auto mixed = parse(Json::array({TextPart("a"), ImagePart()}));
  EXPECT_EQ(mixed.at(0).text, "a");
  EXPECT_EQ(mixed.at(1).image->path, "input[1].image_url.url");
}

TEST(EmbeddingRequest, Options) {
  const Json body =
      Json::parse(R"({"model": "tiny", "input": "a", "encoding_format": "base64", "user": "me",
    "binocle": {"pooling": "class", "normalize": false}})");
  const EmbeddingRequest request = ParseEmbeddingRequest(body.dump(), {});
  EXPECT_EQ(request.format, EmbeddingRequest::Format::kBase64);
  EXPECT_EQ(request.options.pooling, Pooling::kClassToken);
  EXPECT_FALSE(request.options.normalize);
}

}  // namespace
}  // namespace binocle::http
