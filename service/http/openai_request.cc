#include "service/http/openai_request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "service/http/binocle_options.h"
#include "service/http/refused_options.h"

namespace binocle::http {
namespace {

// Both names of one option; the newer decides what errors say when both are there.
void ReadMaxTokens(const Fields& body, ChatRequest& out) {
  const auto older = body.Integer("max_tokens");
  const auto newer = body.Integer("max_completion_tokens");
  if (older && newer && *older != *newer)
    body.Fail("max_completion_tokens", "what max_tokens is, or one of the two");
  if (newer) out.max_tokens_key = "max_completion_tokens";
  if (newer || older) out.request.generation.max_new_tokens = newer ? *newer : *older;
}

// OpenAI's are signed; ours are not, and every one of theirs is another of ours.
void ReadSeed(const Fields& body, uint64_t& out) {
  const Json* value = body.Find("seed");
  if (value == nullptr) return;
  out = value->is_number_unsigned() ? value->get<uint64_t>()
                                    : static_cast<uint64_t>(*body.Integer("seed"));
}

void ReadLogprobs(const Fields& body, ChatRequest& out) {
  body.Boolean("logprobs", out.logprobs);
  body.Integer("top_logprobs", out.top_logprobs);
  if (out.top_logprobs < 0) body.Fail("top_logprobs", "0 or more");
  if (out.top_logprobs > 0 && !out.logprobs)
    body.Fail("top_logprobs", "logprobs to be true with it");
  if (out.logprobs)
    out.request.generation.logprobs = std::max(out.top_logprobs, kLogprobCandidates);
}

void ReadStream(const Fields& body, ChatRequest& out) {
  body.Boolean("stream", out.stream);
  if (const auto options = body.Object("stream_options"))
    options->Boolean("include_usage", out.include_usage);
}

void ReadResponseFormat(const Fields& body, ChatRequest& out) {
  const auto format = body.Object("response_format");
  if (!format) return;
  const std::string type = format->RequiredText("type");
  if (type == "text") return;
  if (type == "json_object")
    RefuseAt(format->Place("type"), "is json_object, which is not supported; json_schema is");
  if (type != "json_schema") format->Fail("type", "text or json_schema");
  const auto named = format->Object("json_schema");
  if (!named) format->Fail("json_schema", "an object with a schema");
  const auto schema = named->Object("schema");
  if (!schema) named->Fail("schema", "a JSON schema");
  if (!std::holds_alternative<std::monostate>(out.request.constraint))
    body.Fail("response_format", "no binocle.constraint beside it");
  out.request.constraint = JsonSchema{.schema = Line(schema->json())};
  out.constraint_key = schema->Place("");
  out.constraint_key.pop_back();
}

void ReadSampling(const Fields& body, GenerationOptions& out) {
  body.Number("temperature", out.temperature);
  body.Number("top_p", out.top_p);
  ReadSeed(body, out.seed);
  if (auto stop = body.Texts("stop", Fields::Single::kAllowed)) out.stop = *std::move(stop);
  body.Integer("n", out.n);
}

std::string ReadModel(const Fields& body) {
  std::string model = body.RequiredText("model");
  if (model.empty()) body.Fail("model", "the name of a model");
  return model;
}

ChatRequest ReadChatRequest(const Fields& body, const RequestLimits& limits) {
  ChatRequest chat;
  chat.model = ReadModel(body);
  RefuseOptions(body);
  ReadMaxTokens(body, chat);
  ReadSampling(body, chat.request.generation);
  ReadLogprobs(body, chat);
  ReadStream(body, chat);
  if (const auto ours = body.Object("binocle")) {
    chat.extras = true;
    ReadBinocleOptions(*ours, chat.request);
  }
  ReadResponseFormat(body, chat);
  Dialogue dialogue = ReadDialogue(body, limits);
  chat.request.system = std::move(dialogue.system);
  chat.request.messages = std::move(dialogue.messages);
  try {
    CheckOptions(chat.request.generation);
  } catch (const Error& error) {
    throw InBodyTerms(error, chat);
  }
  return chat;
}

// The part of an option's name up to the first point: "var.p" is about var.
std::string_view Head(std::string_view option) { return option.substr(0, option.find('.')); }

std::string BodyName(const std::string& option, const ChatRequest& chat) {
  static constexpr std::array<std::string_view, 6> kOurs = {
      "top_k", "min_p", "repetition_penalty", "prompt_format", "grounding", "priority"};
  static constexpr std::array<std::string_view, 5> kInterventions = {"var", "modulate", "pai",
                                                                     "guidance", "vcd"};
  static constexpr std::array<std::string_view, 2> kAttention = {"composite_layers", "aligner"};
  static constexpr std::array<std::string_view, 3> kExplain = {"layers", "heads", "cosine"};
  static constexpr std::array<std::string_view, 4> kConstraints = {"constraint", "choices", "regex",
                                                                   "json_schema"};
  const auto heads = [&](const auto& names) {
    return std::find(names.begin(), names.end(), Head(option)) != names.end();
  };
  if (option == "max_new_tokens") return chat.max_tokens_key;
  if (option == "logprobs") return "top_logprobs";
  if (heads(kOurs)) return "binocle." + option;
  if (heads(kInterventions)) return "binocle.interventions." + option;
  if (heads(kAttention)) return "binocle.attention." + option;
  if (heads(kExplain)) return "explain." + option;
  if (heads(kConstraints)) return chat.constraint_key;
  return option;
}

// Not a deadline, nor a fault of ours, whose message begins with "request: " too.
bool IsAboutTheRequest(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition:
    case Code::kUnimplemented:
    case Code::kResourceExhausted: return true;
    default: return false;
  }
}

// A picture in an engine's message is called by its place ("messages[0].content[1].image_url.url: is …"), all of them together "request"
// ("request: has 70 pictures, …").
std::string PlaceInMessage(const std::string& message) {
  if (message.starts_with("request: ") || message.starts_with("prompt: ") ||
      message.starts_with("messages: ") || message.starts_with("system: "))
    return "messages";
  if (!message.starts_with("messages[")) return {};
  return message.substr(0, std::min(message.find(": "), message.find(' ')));
}

EmbeddingInput ReadInput(const Json& input, const std::string& place, const RequestLimits& limits) {
  if (input.is_string()) {
    if (input.get_ref<const std::string&>().empty()) FailAt(place, input, "text that is not empty");
    return {.place = place, .text = input.get<std::string>(), .image = {}};
  }
  if (input.is_number() || input.is_array())
    RefuseAt(place, "holds token ids, which are not supported: send text");
  const Fields part(input, place);
  const std::string type = part.RequiredText("type");
  if (type == "image_url")
    return {.place = place, .text = {}, .image = ReadImagePart(part, limits)};
  if (type != "text") part.Fail("type", "text or image_url");
  const Json* text = part.Find("text");
  if (text == nullptr || !text->is_string()) part.Fail("text", "a string");
  return ReadInput(*text, part.Place("text"), limits);
}

std::vector<EmbeddingInput> ReadInputs(const Fields& body, const RequestLimits& limits) {
  const std::string expected = "a string, a part with a picture, or a list of 1 to " +
                               std::to_string(limits.max_inputs) + " of them";
  const Json* input = body.Find("input");
  if (input == nullptr) body.Fail("input", expected);
  std::vector<EmbeddingInput> inputs;
  int64_t images = 0;
  if (!input->is_array()) {
    inputs.push_back(ReadInput(*input, "input", limits));
    return inputs;
  }
  if (input->empty() || input->size() > static_cast<size_t>(limits.max_inputs))
    body.Fail("input", expected);
  for (size_t i = 0; i < input->size(); ++i) {
    inputs.push_back(ReadInput((*input)[i], "input[" + std::to_string(i) + "]", limits));
    images += inputs.back().image.has_value();
    if (images > limits.max_images)
      body.Fail("input", "at most " + std::to_string(limits.max_images) + " pictures");
  }
  return inputs;
}

void ReadEmbeddingOptions(const Fields& object, EmbeddingOptions& out) {
  object.OnlyKeys({"pooling", "normalize"});
  object.Boolean("normalize", out.normalize);
  const std::string pooling = object.Text("pooling").value_or("mean");
  if (pooling == "mean") {
    out.pooling = Pooling::kMean;
  } else if (pooling == "class") {
    out.pooling = Pooling::kClassToken;
  } else if (pooling == "pooled") {
    out.pooling = Pooling::kPooled;
  } else {
    object.Fail("pooling", "mean, class or pooled");
  }
}

}  // namespace

ChatRequest ParseChatRequest(std::string body, const RequestLimits& limits) {
  const Json json = ParseBody(std::move(body));
  return ReadChatRequest(Fields(json, ""), limits);
}

Error InBodyTerms(const Error& error, const ChatRequest& chat) {
  const std::string& option = error.option();
  if (option.empty()) {
    const std::string place =
        IsAboutTheRequest(error.code()) ? PlaceInMessage(error.message()) : std::string();
    return Error(error.code(), error.message(), place);
  }
  const std::string name = BodyName(option, chat);
  if (!error.message().starts_with(option)) return error;
  return Error(error.code(), name + error.message().substr(option.size()), name);
}

ExplainRequest ParseExplainRequest(std::string body, const RequestLimits& limits) {
  const Json json = ParseBody(std::move(body));
  const Fields fields(json, "");
  ExplainRequest explain{.chat = ReadChatRequest(fields, limits)};
  if (const auto options = fields.Object("explain")) explain.options = ReadExplainOptions(*options);
  return explain;
}

EmbeddingRequest ParseEmbeddingRequest(std::string body, const RequestLimits& limits) {
  const Json json = ParseBody(std::move(body));
  const Fields fields(json, "");
  EmbeddingRequest embedding;
  embedding.model = ReadModel(fields);
  RefuseOptions(fields);
  if (fields.Has("dimensions"))
    RefuseAt("dimensions", "is not supported: vectors have their length");
  const std::string format = fields.Text("encoding_format").value_or("float");
  if (format != "float" && format != "base64") fields.Fail("encoding_format", "float or base64");
  embedding.format =
      format == "float" ? EmbeddingRequest::Format::kFloat : EmbeddingRequest::Format::kBase64;
  if (const auto ours = fields.Object("binocle")) ReadEmbeddingOptions(*ours, embedding.options);
  embedding.inputs = ReadInputs(fields, limits);
  return embedding;
}

}  // namespace binocle::http
