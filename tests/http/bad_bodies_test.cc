// Every kind of bad body: its status, the place that the error names, and what it says.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "service/http/http_error.h"
#include "service/http/openai_request.h"
#include "tests/http/bodies.h"

namespace binocle::http {
namespace {

using testing::ChatBody;
using testing::ImagePart;
using testing::TextPart;

using Parser = std::function<void(const std::string&)>;

HttpError ErrorOf(const Parser& parse, const std::string& body) {
  try {
    parse(body);
  } catch (const Error& error) {
    return ToHttpError(error);
  }
  return {.status = 200, .message = "no error", .type = {}, .param = {}, .code = {}};
}

void ParseChat(const std::string& body) { ParseChatRequest(body, {.max_images = 3}); }
void ParseEmbedding(const std::string& body) { ParseEmbeddingRequest(body, {.max_inputs = 3}); }

void ExpectError(const HttpError& error, int status, const std::string& param,
                 const std::string& says, const std::string& body) {
  const std::string shown = body.substr(0, 300);
  EXPECT_EQ(error.status, status) << shown << "\n" << error.message;
  EXPECT_EQ(error.param, param) << shown << "\n" << error.message;
  EXPECT_NE(error.message.find(says), std::string::npos)
      << shown << "\n  got:  " << error.message << "\n  want: " << says;
  EXPECT_EQ(error.type, "invalid_request_error") << shown;
  EXPECT_FALSE(error.code.empty());
}

TEST(BadBodies, ThatAreNoObject) {
  struct Case {
    std::string body, says;
  };
  const std::vector<Case> cases = {
      {"", "the body is not valid JSON"},
      {"   ", "the body is not valid JSON"},
      {"nonsense", "the body is not valid JSON"},
      {"[]", "the body is a list of 0, expected a JSON object"},
      {"5", "the body is 5, expected a JSON object"},
      {"null", "the body is null, expected a JSON object"},
      {R"({"model": "tiny")", "the body is not valid JSON"},
      {R"({"model": "tiny"} {})", "the body is not valid JSON"},
      {R"({"model": "tiny", "model": "other"})", R"(the body has the member "model" twice)"},
      {R"({"model": "tiny", "x": {"a": 1, "a": 2}})", R"(the body has the member "a" twice)"},
      {"{\"model\": \"ti\xFFny\"}", "the body is not valid JSON"},
      {"{\"model\": \"ti\xED\xA0\x80ny\"}", "the body is not valid JSON"},
      {R"({"model": "\ud800"})", "the body is not valid JSON"},
      {std::string("{\"model\": \"ti\0ny\"}", 18), "the body is not valid JSON"},
      {R"({"temperature": 1e999})",
       "the body is not valid JSON: at byte 21 ends a number that is too large"},
      {R"({"temperature": NaN})", "the body is not valid JSON"},
      {R"({"temperature": 01})",
       "the body is not valid JSON: at byte 18 is what JSON does not have there"},
      {R"({"model": "tiny)", "at byte 10 begins a string without an end"},
      {R"({"model": "ti)"
       "\n"
       R"(ny"})",
       "at byte 13 is a control character in a string"},
      {R"({"model": "ti\xny"})", "at byte 13 is an escape that there is not"},
      {R"({"model": "ti\u00g0"})", "at byte 13 is \\u without four hexadecimal digits"},
      {R"({"model": "\udc00"})", "at byte 11 is half of a surrogate pair"},
      {R"({"model": "\ud800\u0041"})", "at byte 11 is half of a surrogate pair"},
      {R"({"model": "\)", "at byte 11 is an escape that there is not"},
      {R"({"model" "tiny"})", "at byte 9 is a string where none is expected"},
      {R"({"x": ["a" "b"]})", "at byte 11 is a string where none is expected"},
      {R"({"model": "tiny"} "b")", "at byte 18 is a string where none is expected"},
      {R"({"model": "tiny"} x)", "at byte 18 is a word where none is expected"},
      {R"({"model": "tiny",})", "at byte 17 is a bracket where none is expected"},
      {R"({"model": "tiny"])", "at byte 16 is a bracket where none is expected"},
      {R"({"model": "tiny", , "x": 1})", "at byte 18 is a comma where none is expected"},
      {R"({"model": "tiny": 1})", "at byte 16 is a colon where none is expected"},
      {R"({"model": "tiny")", "at byte 16 is the end where none is expected"},
      {"{\"x\": 1" + std::string(2000, '0') + "}", "is in a word that is too long to be a number"},
      {"{\"x\": " + std::string(3 << 20, '\n') + "1}",
       "more than 2097152 bytes outside of strings"},
      {R"({"x": )" + std::string(100, '[') + std::string(100, ']') + "}", "nested deeper than 64"},
      {std::string(1 << 20, '['), "nested deeper than 64"},
      {R"({"x": [1)" +
           [] {
             std::string many;
             for (int i = 0; i < 100'001; ++i) many += ",1";
             return many;
           }() +
           "]}",
       "more than 100000 values"},
      {R"({"x": [{})" +
           [] {
             std::string many;
             for (int i = 0; i < 100'001; ++i) many += ",{}";
             return many;
           }() +
           ", \"and this text never ends",
       "more than 100000 values"},
      {R"({"model": "tiny"})" + std::string("\0 and more", 10), "has a NUL byte"},
      {"{\"" + std::string(1025, 'n') + "\": 1}", "longer than 1024 bytes"},
      {"{" +
           [] {
             std::string many = "\"x\": 1";
             for (int i = 0; i < 1001; ++i) many += ", \"m" + std::to_string(i) + "\": 1";
             return many;
           }() +
           "}",
       "an object of more than 1000 members"},
  };
  for (const Case& c : cases) ExpectError(ErrorOf(ParseChat, c.body), 400, "", c.says, c.body);
}

struct Change {
  std::string patch;  // merged into a good body; null takes a member away
  int status;
  std::string param, says;
};

void ExpectErrors(const Parser& parse, const Json& good, const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    Json body = good;
    body.merge_patch(Json::parse(change.patch));
    ExpectError(ErrorOf(parse, body.dump()), change.status, change.param, change.says,
                change.patch);
  }
}

TEST(BadBodies, WithOptionsOutOfShape) {
  ExpectErrors(
      ParseChat, ChatBody(),
      {{R"({"model": null})", 400, "model", "model is missing, expected a string"},
       {R"({"model": 5})", 400, "model", "model is 5, expected a string"},
       {R"({"model": ""})", 400, "model", "model is \"\", expected the name of a model"},
       {R"({"max_tokens": "many"})", 400, "max_tokens",
        "max_tokens is \"many\", expected an integer"},
       {R"({"max_tokens": 1.5})", 400, "max_tokens", "max_tokens is 1.5, expected an integer"},
       {R"({"max_tokens": true})", 400, "max_tokens", "expected an integer"},
       {R"({"max_tokens": 0})", 400, "max_tokens", "max_tokens is 0"},
       {R"({"max_tokens": -1})", 400, "max_tokens", "max_tokens is -1"},
       {R"({"max_tokens": 1e300})", 400, "max_tokens", "expected an integer"},
       {R"({"max_tokens": 99999999999999999999})", 400, "max_tokens", "expected an integer"},
       {R"({"max_tokens": 18446744073709551615})", 400, "max_tokens",
        "expected an integer of 63 bits"},
       {R"({"max_completion_tokens": 0})", 400, "max_completion_tokens",
        "max_completion_tokens is 0"},
       {R"({"max_tokens": 1, "max_completion_tokens": 2})", 400, "max_completion_tokens",
        "or one of the two"},
       {R"({"temperature": "hot"})", 400, "temperature", "expected a number"},
       {R"({"temperature": -0.1})", 400, "temperature", "temperature is -0.1"},
       {R"({"temperature": 1e9})", 400, "temperature", "temperature is"},
       {R"({"top_p": 1.1})", 400, "top_p", "top_p is 1.1"},
       {R"({"top_p": []})", 400, "top_p", "top_p is a list of 0, expected a number"},
       {R"({"seed": 1.5})", 400, "seed", "expected an integer"},
       {R"({"seed": "x"})", 400, "seed", "expected an integer"},
       {R"({"stop": 5})", 400, "stop", "expected a string or a list of strings"},
       {R"({"stop": ["a", 5]})", 400, "stop[1]", "expected a string"},
       {R"({"stop": ""})", 400, "stop", "stop is empty"},
       {R"({"n": 0})", 400, "n", "n is 0"},
       {R"({"n": 65})", 400, "n", "n is 65"},
       {R"({"n": "2"})", 400, "n", "expected an integer"},
       {R"({"stream": "yes"})", 400, "stream", "expected true or false"},
       {R"({"stream_options": true})", 400, "stream_options", "expected an object"},
       {R"({"stream_options": {"include_usage": 1}})", 400, "stream_options.include_usage",
        "expected true or false"},
       {R"({"logprobs": 5})", 400, "logprobs", "expected true or false"},
       {R"({"top_logprobs": 3})", 400, "top_logprobs", "expected logprobs to be true"},
       {R"({"logprobs": true, "top_logprobs": -1})", 400, "top_logprobs", "expected 0 or more"},
       {R"({"response_format": "json"})", 400, "response_format", "expected an object"},
       {R"({"response_format": {"type": "xml"}})", 400, "response_format.type",
        "expected text or json_schema"},
       {R"({"response_format": {"type": "json_object"}})", 400, "response_format.type",
        "json_schema is"},
       {R"({"response_format": {"type": "json_schema"}})", 400, "response_format.json_schema",
        "is missing"},
       {R"({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}})", 400,
        "response_format.json_schema.schema", "is missing"},
       {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}, "binocle": {"constraint": {"regex": "a"}}})",
        400, "response_format", "no binocle.constraint beside it"}});
}

TEST(BadBodies, WithOptionsThatWouldChangeTheAnswer) {
  ExpectErrors(
      ParseChat, ChatBody(),
      {{R"({"tools": [{"type": "function"}]})", 400, "tools",
        "tools is not supported: the model calls no tools"},
       {R"({"tool_choice": "required"})", 400, "tool_choice", "calls no tools"},
       {R"({"tool_choice": {"type": "function"}})", 400, "tool_choice", "calls no tools"},
       {R"({"functions": [{}]})", 400, "functions", "calls no tools"},
       {R"({"function_call": {"name": "f"}})", 400, "function_call", "calls no tools"},
       {R"({"logit_bias": {"5": 1}})", 400, "logit_bias", "is not supported"},
       {R"({"presence_penalty": 0.5})", 400, "presence_penalty", "binocle.repetition_penalty"},
       {R"({"frequency_penalty": -1})", 400, "frequency_penalty", "binocle.repetition_penalty"},
       {R"({"frequency_penalty": "no"})", 400, "frequency_penalty", "expected 0"},
       {R"({"audio": {"voice": "x"}})", 400, "audio", "answers are text"},
       {R"({"modalities": ["text", "audio"]})", 400, "modalities", "answers are text"},
       {R"({"reasoning_effort": "high"})", 400, "reasoning_effort", "does not reason"},
       {R"({"web_search_options": {}})", 400, "web_search_options", "nothing is fetched"},
       {R"({"top_k": 5})", 400, "top_k", "belongs into the object binocle"},
       {R"({"repetition_penalty": 1.1})", 400, "repetition_penalty",
        "belongs into the object binocle"},
       {R"({"guided_choice": ["a"]})", 400, "guided_choice", "binocle.constraint"},
       {R"({"stop_token_ids": [5]})", 400, "stop_token_ids", "is not supported"},
       {R"({"best_of": 2})", 400, "best_of", "is not supported"},
       {R"({"guided_json": {"type": "object"}})", 400, "guided_json", "binocle.constraint"},
       {R"({"guided_regex": "a+"})", 400, "guided_regex", "binocle.constraint"},
       {R"({"grammar": "root ::= x"})", 400, "grammar", "binocle.constraint"},
       {R"({"add_generation_prompt": false})", 400, "add_generation_prompt", "is not supported"},
       {R"({"continue_final_message": true})", 400, "continue_final_message", "is not supported"},
       {R"({"echo": true})", 400, "echo", "is not supported"},
       {R"({"allowed_token_ids": [1]})", 400, "allowed_token_ids", "is not supported"},
       {R"({"skip_special_tokens": false})", 400, "skip_special_tokens", "is not supported"},
       {R"({"typical_p": 0.9})", 400, "typical_p", "is not supported"},
       {R"({"repeat_penalty": 1.1})", 400, "repeat_penalty", "binocle.repetition_penalty"},
       {R"({"dynatemp_range": 0.5})", 400, "dynatemp_range", "is not supported"},
       {R"({"n_predict": 5})", 400, "n_predict", "expected max_tokens"},
       {R"({"do_sample": true})", 400, "do_sample", "expected temperature"},
       {R"({"prompt": "Hi"})", 400, "prompt", "expected messages"},
       {R"({"truncate_prompt_tokens": 9})", 400, "truncate_prompt_tokens", "is not supported"}});
}

TEST(BadBodies, WithMessagesOutOfShape) {
  const auto messages = [](const std::string& list) { return R"({"messages": )" + list + "}"; };
  ExpectErrors(
      ParseChat, ChatBody(),
      {{messages("null"), 400, "messages", "messages is missing"},
       {messages("[]"), 400, "messages",
        "messages is a list of 0, expected a list of at least one"},
       {messages("\"Hi\""), 400, "messages", "expected a list"},
       {messages("[5]"), 400, "messages[0]", "messages[0] is 5, expected an object"},
       {messages(R"([{"content": "Hi"}])"), 400, "messages[0].role", "is missing"},
       {messages(R"([{"role": "boss", "content": "Hi"}])"), 400, "messages[0].role",
        "expected system, developer, user or assistant"},
       {messages(R"([{"role": "tool", "content": "Hi"}])"), 400, "messages[0].role", "no tools"},
       {messages(R"([{"role": "user"}])"), 400, "messages[0].content", "is missing"},
       {messages(R"([{"role": "user", "content": []}])"), 400, "messages[0].content",
        "a list of parts"},
       {messages(R"([{"role": "user", "content": {"text": "Hi"}}])"), 400, "messages[0].content",
        "is an object"},
       {messages(R"([{"role": "assistant", "content": "Hi"}])"), 400, "messages[0].role",
        "user first"},
       {messages(R"([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])"), 400,
        "messages[1].role", "in turn"},
       {messages(R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])"),
        400, "messages[1].role", "expected a message of the user"},
       {messages(R"([{"role": "system", "content": "a"}])"), 400, "messages[0].role",
        "expected a message of the user"},
       {messages(R"([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}])"), 400,
        "messages[1].role", "one system message"},
       {messages(
            R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": [{}]}])"),
        400, "messages[1].tool_calls", "is not supported"}});
}

TEST(BadBodies, WithPartsOutOfShape) {
  struct Case {
    Json content;
    int status;
    std::string param, says;
  };
  const auto url = [](const std::string& text) {
    return Json::array({ImagePart(text), TextPart("?")});
  };
  Json detail = ImagePart();
  detail["image_url"]["detail"] = "huge";
  const std::vector<Case> cases = {
      {{5}, 400, "messages[0].content[0]", "expected an object"},
      {{{{"text", "a"}}}, 400, "messages[0].content[0].type", "is missing"},
      {{{{"type", "text"}}}, 400, "messages[0].content[0].text", "is missing"},
      {{{{"type", "text"}, {"text", 5}}},
       400,
       "messages[0].content[0].text",
       "is 5, expected a string"},
      {{{{"type", "input_audio"}}},
       400,
       "messages[0].content[0].type",
       "expected text or image_url"},
      {{{{"type", "image_url"}}}, 400, "messages[0].content[0].image_url", "is missing"},
      {{{{"type", "image_url"}, {"image_url", Json::object()}}},
       400,
       "messages[0].content[0].image_url.url",
       "is missing"},
      {{{{"type", "image_url"}, {"image_url", {{"url", 5}}}}},
       400,
       "messages[0].content[0].image_url.url",
       "is 5"},
      {url("https://a.org/cat.png"), 400, "messages[0].content[0].image_url.url",
       "URLs are not fetched"},
      {url("http://169.254.169.254/"), 400, "messages[0].content[0].image_url.url",
       "URLs are not fetched"},
      {url("file:///etc/passwd"), 400, "messages[0].content[0].image_url.url",
       "URLs are not fetched"},
      {url("data:text/plain;base64,Zm9v"), 400, "messages[0].content[0].image_url.url",
       "of type \"text/plain\""},
      {url("data:image/png;base64,Zm9"), 400, "messages[0].content[0].image_url.url", "no base64"},
      {url("data:image/png;base64,"), 400, "messages[0].content[0].image_url.url", "without data"},
      {url("data:image/png;base64," + std::string(int64_t{1} << 20, 'A')), 200, "", "no error"},
      {Json::array({detail}), 400, "messages[0].content[0].image_url.detail",
       "expected auto, low, high"},
      {Json::array({ImagePart(), ImagePart(), ImagePart(), ImagePart()}), 400, "messages",
       "more than 3 pictures"},
      {Json::array({TextPart("<image>"), ImagePart(), TextPart("b")}), 400, "messages[0].content",
       "the text <image> and pictures between texts"}};
  for (const Case& c : cases) {
    const std::string body = ChatBody(c.content).dump();
    const HttpError error = ErrorOf(ParseChat, body);
    if (c.status == 200) {
      EXPECT_EQ(error.status, 200) << error.message;
    } else {
      ExpectError(error, c.status, c.param, c.says, body);
    }
  }
}

TEST(BadBodies, WithPicturesOverTheLimit) {
  const std::string body = ChatBody(Json::array({ImagePart()})).dump();
  const auto parse = [](const std::string& text) {
    ParseChatRequest(text, {.max_image_bytes = 10});
  };
  ExpectError(ErrorOf(parse, body), 413, "messages[0].content[0].image_url.url",
              "a picture of more than 10 bytes", body);
}

TEST(BadBodies, WithPicturesThatAreNotTheUsers) {
  Json body = ChatBody();
  body["messages"].insert(body["messages"].begin(),
                          Json{{"role", "system"}, {"content", Json::array({ImagePart()})}});
  ExpectError(ErrorOf(ParseChat, body.dump()), 400, "messages[0].content",
              "pictures belong to the user's messages", "a picture in the system's message");
}

TEST(BadBodies, WithOurOptionsOutOfShape) {
  const auto ours = [](const std::string& object) { return R"({"binocle": )" + object + "}"; };
  ExpectErrors(
      ParseChat, ChatBody(),
      {{ours("5"), 400, "binocle", "expected an object"},
       {ours(R"({"topk": 5})"), 400, "binocle.topk", "is unknown, expected some of top_k, min_p"},
       {ours(R"({"top_k": -1})"), 400, "binocle.top_k", "binocle.top_k is -1"},
       {ours(R"({"min_p": 2})"), 400, "binocle.min_p", "binocle.min_p is 2"},
       {ours(R"({"repetition_penalty": 0})"), 400, "binocle.repetition_penalty", "is 0"},
       {ours(R"({"prompt_format": "xml"})"), 400, "binocle.prompt_format", "expected chat or raw"},
       {ours(R"({"prompt_format": 5})"), 400, "binocle.prompt_format", "expected a string"},
       {ours(R"({"grounding": 1})"), 400, "binocle.grounding", "expected true or false"},
       {ours(R"({"priority": 0.5})"), 400, "binocle.priority", "expected an integer"},
       {ours(R"({"interventions": {"vaar": {}}})"), 400, "binocle.interventions.vaar",
        "is unknown"},
       {ours(R"({"interventions": {"var": true}})"), 400, "binocle.interventions.var",
        "expected an object"},
       {ours(R"({"interventions": {"var": {"q": 1}}})"), 400, "binocle.interventions.var.q",
        "is unknown"},
       {ours(R"({"interventions": {"var": {"p": "x"}}})"), 400, "binocle.interventions.var.p",
        "expected a number"},
       {ours(R"({"interventions": {"var": {"layers": "2-"}}})"), 400,
        "binocle.interventions.var.layers", "layers such as"},
       {ours(R"({"interventions": {"var": {"layers": "5-2"}}})"), 400,
        "binocle.interventions.var.layers", "layers such as"},
       {ours(R"({"interventions": {"var": {"dims": [1.5]}}})"), 400,
        "binocle.interventions.var.dims[0]", "expected an integer"},
       {ours(R"({"interventions": {"var": {"compat": "old"}}})"), 400,
        "binocle.interventions.var.compat", "expected paper or release"},
       {ours(R"({"attention": {"kind": "linear"}})"), 400, "binocle.attention.kind",
        "expected stock or composite"},
       {ours(R"({"attention": {"composite_layers": 3}})"), 400,
        "binocle.attention.composite_layers", "expected a string"},
       {ours(R"({"attention": {"composite_layers": "0-3,2"}})"), 400,
        "binocle.attention.composite_layers", "is 0-3,2, expected layers such as 0-3,7,12-15"},
       {ours(R"({"attention": {"layers": "1-2"}})"), 400, "binocle.attention.layers", "is unknown"},
       {ours(R"({"constraint": {}})"), 400, "binocle.constraint", "has 0 members, expected one"},
       {ours(R"({"constraint": {"regex": "a", "choices": ["b"]}})"), 400, "binocle.constraint",
        "has 2 members, expected one"},
       {ours(R"({"constraint": {"choices": "a"}})"), 400, "binocle.constraint.choices",
        "expected a list of strings"},
       {ours(R"({"constraint": {"json_schema": "{}"}})"), 400, "binocle.constraint.json_schema",
        "expected an object"}});
}

TEST(BadBodies, OfEmbeddings) {
  ExpectErrors(
      ParseEmbedding, {{"model", "tiny"}, {"input", "text"}},
      {{R"({"model": null})", 400, "model", "is missing"},
       {R"({"input": null})", 400, "input", "is missing"},
       {R"({"input": ""})", 400, "input", "expected text that is not empty"},
       {R"({"input": []})", 400, "input", "a list of 1 to 3"},
       {R"({"input": ["a", "b", "c", "d"]})", 400, "input", "a list of 1 to 3"},
       {R"({"input": ["a", ""]})", 400, "input[1]", "expected text that is not empty"},
       {R"({"input": [1, 2, 3]})", 400, "input[0]", "token ids"},
       {R"({"input": [[1, 2]]})", 400, "input[0]", "token ids"},
       {R"({"input": {"type": "video"}})", 400, "input.type", "expected text or image_url"},
       {R"({"input": true})", 400, "input", "expected an object"},
       {R"({"dimensions": 5})", 400, "dimensions", "is not supported"},
       {R"({"encoding_format": "hex"})", 400, "encoding_format", "expected float or base64"},
       {R"({"binocle": {"pooling": "max"}})", 400, "binocle.pooling",
        "expected mean, class or pooled"},
       {R"({"binocle": {"x": 1}})", 400, "binocle.x", "is unknown"}});
}

TEST(BadBodies, OfExplain) {
  const auto parse = [](const std::string& body) { ParseExplainRequest(body, {}); };
  ExpectErrors(
      parse, ChatBody(),
      {{R"({"explain": 5})", 400, "explain", "expected an object"},
       {R"({"explain": {"layer": "2"}})", 400, "explain.layer", "is unknown"},
       {R"({"explain": {"layers": "a"}})", 400, "explain.layers", "layers such as"},
       {R"({"explain": {"heads": "1"}})", 400, "explain.heads", "expected a list of integers"}});
}

}  // namespace
}  // namespace binocle::http
