// Bodies of OpenAI's interface as our requests.
//
// What does not change the answer and is unknown here is ignored, as public clients expect; options that would change it are refused
// by name (UNIMPLEMENTED). null is absent. Our own options ride in an object `binocle` (binocle_options.h), whose members must be known.
// docs/http.md has the whole list. Everything thrown is a binocle::Error whose option() is the place in the body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/explain.h"
#include "binocle/request.h"
#include "service/http/openai_messages.h"

namespace binocle::http {

// A body of /v1/chat/completions.
struct ChatRequest {
  std::string model;
  Request request;
  bool stream = false;
  bool include_usage = false;  // a stream ends with a chunk of usage
  bool logprobs = false;
  int64_t top_logprobs = 0;
  bool extras = false;                        // the body has `binocle`, and so will the answer
  std::string max_tokens_key = "max_tokens";  // or max_completion_tokens: as errors name it
  std::string constraint_key = "binocle.constraint";  // or response_format
};

// With `logprobs` the engine is asked for max(top_logprobs, this many) most probable tokens, where the chosen one is looked up.
inline constexpr int64_t kLogprobCandidates = 20;

ChatRequest ParseChatRequest(std::string body, const RequestLimits& limits);

// The same error about the body's name for an option that binocle/request.h names otherwise (max_new_tokens, top_k, var, …).
Error InBodyTerms(const Error& error, const ChatRequest& chat);

// A body of /explain: that of a chat completion, with ExplainOptions in an object `explain`.
struct ExplainRequest {
  ChatRequest chat;
  ExplainOptions options;
};
ExplainRequest ParseExplainRequest(std::string body, const RequestLimits& limits);

// A text or an image.
struct EmbeddingInput {
  std::string place;  // in the body: "input[1]"
  std::string text;
  std::optional<ImageInput> image;
};

// A body of /v1/embeddings. `input` is a string, a part as in messages ({"type": "image_url", …}), or a list of these.
struct EmbeddingRequest {
  enum class Format : uint8_t { kFloat, kBase64 };
  std::string model;
  std::vector<EmbeddingInput> inputs;  // at least one
  Format format = Format::kFloat;
  EmbeddingOptions options = {.normalize = true};
};
EmbeddingRequest ParseEmbeddingRequest(std::string body, const RequestLimits& limits);

}  // namespace binocle::http
