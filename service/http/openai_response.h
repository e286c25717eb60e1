// Our answers in OpenAI's shape.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/request.h"
#include "service/common/model_backend.h"
#include "service/http/event_queue.h"
#include "service/http/http_error.h"
#include "service/http/json_body.h"
#include "service/http/openai_request.h"

namespace binocle::http {

// The bytes of a token, as ModelBackend::TokenText.
using TokenTexts = std::function<std::string(int32_t)>;

// What every object of one answer has.
struct ReplyHead {
  std::string id;           // "chatcmpl-…"
  int64_t created = 0;      // seconds since 1970
  std::string model;        // as the request named it
  std::string fingerprint;  // empty: null
};

// A chat.completion on one line. `content` is always a string and `usage` always there. With ChatRequest::extras it has an object `binocle`.
std::string CompletionLine(const ReplyHead& head, const ChatRequest& chat, const Response& response,
                           const TokenTexts& texts);

// A stream as server-sent events, each "data: …" and an empty line.
class ChunkWriter {
 public:
  ChunkWriter(ReplyHead head, const ChatRequest& chat, TokenTexts texts);

  // One for each of the n answers, with its role.
  std::vector<std::string> Begin() const;
  // Text and the log-probabilities of its tokens. Empty where there is no text: tokens that add none wait for the next that does.
  std::string Delta(DeltaEvent delta);
  // Finish reasons, with the log-probabilities of tokens that have not been sent, usage if asked for, [DONE].
  std::vector<std::string> Finish(const Response& response) const;
  // {"error": …}, after which the stream ends.
  static std::string Failure(const HttpError& error);

 private:
  // Tokens of an answer that deltas told of and that have not been sent.
  struct Steps {
    std::vector<int32_t> token_ids;
    std::vector<std::vector<TokenLogProbability>> logprobs;
    size_t sent = 0;  // before them
  };

  Json Chunk(Json choices) const;
  std::string Event(const Json& json) const;
  // Log-probabilities of tokens that have not been sent: those that deltas told of, and those that only `answer` has.
  Json RestJson(const Steps& steps, const Answer& answer) const;

  ReplyHead head_;
  std::vector<Steps> answers_;
  bool logprobs_, include_usage_, extras_;
  int64_t top_logprobs_;
  TokenTexts texts_;
};

Json UsageJson(const Response& response);

Json ModelJson(const NamedModel& model);
Json ModelsJson(const std::vector<NamedModel>& models);

// Per input of the request; base64: little-endian floats.
Json EmbeddingsJson(const EmbeddingRequest& request, const std::vector<Embedding>& embeddings);

}  // namespace binocle::http
