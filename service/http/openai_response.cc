#include "service/http/openai_response.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "service/http/data_url.h"

namespace binocle::http {
namespace {

static_assert(std::endian::native == std::endian::little, "embeddings are little-endian floats");

// What OpenAI says of a token that is not among the most probable.
constexpr double kUnlikely = -9999.0;

Json BytesJson(const std::string& text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<uint8_t>(c));
  return bytes;
}

Json TokenJson(const std::string& text, double logprob) {
  // JSON has no infinities: a token that an intervention has excluded.
  const double finite = std::isfinite(logprob) ? std::max(logprob, kUnlikely) : kUnlikely;
  return {{"token", text}, {"logprob", finite}, {"bytes", BytesJson(text)}};
}

Json StepJson(int32_t chosen, const std::vector<TokenLogProbability>& step, int64_t top,
              const TokenTexts& texts) {
  const auto it =
      std::find_if(step.begin(), step.end(), [&](const auto& p) { return p.id == chosen; });
  Json json = TokenJson(texts(chosen), it == step.end() ? kUnlikely : it->value);
  json["top_logprobs"] = Json::array();
  for (size_t i = 0; i < step.size() && i < static_cast<size_t>(top); ++i)
    json["top_logprobs"].push_back(TokenJson(texts(step[i].id), step[i].value));
  return json;
}

// Of tokens [first, end) of an answer.
Json StepsJson(const std::vector<int32_t>& ids,
               const std::vector<std::vector<TokenLogProbability>>& logprobs, size_t first,
               size_t end, int64_t top, const TokenTexts& texts) {
  Json content = Json::array();
  for (size_t i = first; i < end; ++i) content.push_back(StepJson(ids[i], logprobs[i], top, texts));
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

// Of how many tokens there are log-probabilities to tell: without the end token, which adds nothing to the content.
size_t LogprobsEnd(const Answer& answer, const TokenTexts& texts) {
  const size_t end = std::min(answer.token_ids.size(), answer.logprobs.size());
  const bool stopped = end > 0 && answer.finish_reason == FinishReason::kStop &&
                       texts(answer.token_ids[end - 1]).empty();
  return stopped ? end - 1 : end;
}

// OpenAI knows no "cancelled"; nobody but the server's own end can cause one that is read.
Json FinishJson(FinishReason reason) { return reason == FinishReason::kStop ? "stop" : "length"; }

Json ExtrasJson(const Answer& answer) {
  Json json = {{"token_ids", answer.token_ids}};
  if (!answer.grounding.empty()) json["grounding"] = answer.grounding;
  return json;
}

Json ExtrasJson(const Response& r) {
  return {{"image_tokens", r.image_tokens},
          {"timings_ms",
           {{"decode", r.timings.decode},
            {"anchor", r.timings.anchor},
            {"augment", r.timings.augment},
            {"fusion", r.timings.fusion},
            {"prefill", r.timings.prefill},
            {"first_token", r.timings.first_token},
            {"total", r.timings.total},
            {"per_token", r.timings.per_token}}},
          {"cache", {{"image_hits", r.image_hits}, {"prefix_tokens", r.prefix_tokens}}}};
}

Json FingerprintJson(const ReplyHead& head) {
  return head.fingerprint.empty() ? Json() : Json(head.fingerprint);
}

// Puts `value` where `object` has the member `key` without one (null, []): the first such, which no text within can look like, as its quotes
// are escaped.
void Fill(std::string& object, const std::string& key_and_nothing, size_t nothing,
          const std::string& value) {
  object.replace(object.find(key_and_nothing) + key_and_nothing.size() - nothing, nothing, value);
}

// As text, for a tree of the hundred thousands of values that log-probabilities may be takes several times as much.
std::string LogprobsLine(const Answer& answer, int64_t top, const TokenTexts& texts) {
  std::string line = R"({"content":[)";
  const size_t end = LogprobsEnd(answer, texts);
  for (size_t i = 0; i < end; ++i) {
    if (i > 0) line += ',';
    line += Line(StepJson(answer.token_ids[i], answer.logprobs[i], top, texts));
  }
  return line + R"(],"refusal":null})";
}

std::string ChoiceLine(size_t index, const Answer& answer, const ChatRequest& chat,
                       const TokenTexts& texts) {
  Json choice = {{"index", index},
                 {"message",
                  {{"role", "assistant"},
                   {"content", answer.text},
                   {"refusal", nullptr},
                   {"annotations", Json::array()}}},
                 {"logprobs", nullptr},
                 {"finish_reason", FinishJson(answer.finish_reason)}};
  if (chat.extras) choice["binocle"] = ExtrasJson(answer);
  std::string line = Line(choice);
  if (chat.logprobs)
    Fill(line, R"("logprobs":null)", 4, LogprobsLine(answer, chat.top_logprobs, texts));
  return line;
}

Json DeltaChoice(int64_t index, Json delta) {
  return {{"index", index},
          {"delta", std::move(delta)},
          {"logprobs", nullptr},
          {"finish_reason", nullptr}};
}

}  // namespace

Json UsageJson(const Response& response) {
  int64_t completion = 0;
  for (const Answer& answer : response.answers)
    completion += static_cast<int64_t>(answer.token_ids.size());
  return {{"prompt_tokens", response.prompt_tokens},
          {"completion_tokens", completion},
          {"total_tokens", response.prompt_tokens + completion},
          {"prompt_tokens_details", {{"cached_tokens", response.prefix_tokens}}}};
}

std::string CompletionLine(const ReplyHead& head, const ChatRequest& chat, const Response& response,
                           const TokenTexts& texts) {
  std::string choices = "[";
  for (size_t i = 0; i < response.answers.size(); ++i) {
    if (i > 0) choices += ',';
    choices += ChoiceLine(i, response.answers[i], chat, texts);
  }
  choices += ']';
  Json json = {{"id", head.id},
               {"object", "chat.completion"},
               {"created", head.created},
               {"model", head.model},
               {"system_fingerprint", FingerprintJson(head)},
               {"choices", Json::array()},
               {"usage", UsageJson(response)}};
  if (chat.extras) json["binocle"] = ExtrasJson(response);
  std::string line = Line(json);
  Fill(line, R"("choices":[])", 2, choices);
  return line;
}

ChunkWriter::ChunkWriter(ReplyHead head, const ChatRequest& chat, TokenTexts texts)
    : head_(std::move(head)),
      answers_(static_cast<size_t>(chat.request.generation.n)),
      logprobs_(chat.logprobs),
      include_usage_(chat.include_usage),
      extras_(chat.extras),
      top_logprobs_(chat.top_logprobs),
      texts_(std::move(texts)) {}

Json ChunkWriter::Chunk(Json choices) const {
  Json chunk = {{"id", head_.id},
                {"object", "chat.completion.chunk"},
                {"created", head_.created},
                {"model", head_.model},
                {"system_fingerprint", FingerprintJson(head_)},
                {"choices", std::move(choices)}};
  // Every chunk has the member then, and all but the last have it empty.
  if (include_usage_) chunk["usage"] = nullptr;
  return chunk;
}

std::string ChunkWriter::Event(const Json& json) const { return "data: " + Line(json) + "\n\n"; }

std::vector<std::string> ChunkWriter::Begin() const {
  std::vector<std::string> events;
  for (int64_t i = 0; i < std::ssize(answers_); ++i) {
    const Json role = {{"role", "assistant"}, {"content", ""}, {"refusal", nullptr}};
    events.push_back(Event(Chunk(Json::array({DeltaChoice(i, role)}))));
  }
  return events;
}

std::string ChunkWriter::Delta(DeltaEvent delta) {
  Steps& steps = answers_[static_cast<size_t>(delta.answer)];
  steps.token_ids.insert(steps.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(steps.logprobs));
  if (delta.text.empty()) return {};
  Json choice = DeltaChoice(delta.answer, {{"content", std::move(delta.text)}});
  if (logprobs_) {
    // The last may be the end token, which is not sent.
    size_t end = std::min(steps.token_ids.size(), steps.logprobs.size());
    while (end > 0 && texts_(steps.token_ids[end - 1]).empty()) --end;
    choice["logprobs"] = StepsJson(steps.token_ids, steps.logprobs, 0, end, top_logprobs_, texts_);
    steps.token_ids.erase(steps.token_ids.begin(),
                          steps.token_ids.begin() + static_cast<int64_t>(end));
    steps.logprobs.erase(steps.logprobs.begin(),
                         steps.logprobs.begin() + static_cast<int64_t>(end));
    steps.sent += end;
  }
  return Event(Chunk(Json::array({std::move(choice)})));
}

Json ChunkWriter::RestJson(const Steps& steps, const Answer& answer) const {
  const size_t end = LogprobsEnd(answer, texts_);
  const size_t told = steps.sent + std::min(steps.token_ids.size(), steps.logprobs.size());
  Json rest = StepsJson(steps.token_ids, steps.logprobs, 0,
                        std::min(end, told) - std::min(end, steps.sent), top_logprobs_, texts_);
  for (size_t i = told; i < end; ++i)
    rest["content"].push_back(
        StepJson(answer.token_ids[i], answer.logprobs[i], top_logprobs_, texts_));
  return rest;
}

std::vector<std::string> ChunkWriter::Finish(const Response& response) const {
  std::vector<std::string> events;
  for (size_t i = 0; i < response.answers.size(); ++i) {
    const Answer& answer = response.answers[i];
    Json choice = DeltaChoice(static_cast<int64_t>(i), Json::object());
    choice["finish_reason"] = FinishJson(answer.finish_reason);
    if (logprobs_) {
      Json rest = RestJson(answers_[i], answer);
      if (!rest["content"].empty()) choice["logprobs"] = std::move(rest);
    }
    if (extras_) choice["binocle"] = ExtrasJson(answer);
    events.push_back(Event(Chunk(Json::array({std::move(choice)}))));
  }
  if (include_usage_) {
    Json chunk = Chunk(Json::array());
    chunk["usage"] = UsageJson(response);
    if (extras_) chunk["binocle"] = ExtrasJson(response);
    events.push_back(Event(chunk));
  }
  events.push_back("data: [DONE]\n\n");
  return events;
}

std::string ChunkWriter::Failure(const HttpError& error) {
  return "data: " + Line(ErrorJson(error)) + "\n\n";
}

Json ModelJson(const NamedModel& model) {
  return {
      {"id", model.name}, {"object", "model"}, {"created", model.created}, {"owned_by", "binocle"}};
}

Json ModelsJson(const std::vector<NamedModel>& models) {
  Json data = Json::array();
  for (const NamedModel& model : models) data.push_back(ModelJson(model));
  return {{"object", "list"}, {"data", std::move(data)}};
}

Json EmbeddingsJson(const EmbeddingRequest& request, const std::vector<Embedding>& embeddings) {
  int64_t tokens = 0;
  Json data = Json::array();
  for (size_t i = 0; i < embeddings.size(); ++i) {
    const std::vector<float>& vector = embeddings[i].values;
    tokens += embeddings[i].tokens;
    Json value = vector;
    if (request.format == EmbeddingRequest::Format::kBase64) {
      std::string bytes(vector.size() * sizeof(float), '\0');
      std::memcpy(bytes.data(), vector.data(), bytes.size());
      value = EncodeBase64(bytes);
    }
    data.push_back({{"object", "embedding"}, {"index", i}, {"embedding", std::move(value)}});
  }
  return {{"object", "list"},
          {"data", std::move(data)},
          {"model", request.model},
          {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}};
}

}  // namespace binocle::http
