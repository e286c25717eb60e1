// What one asks of a model and what comes back.
//
// Every option has the same name here, on the command line and in the documents. Defaults are greedy decoding without penalties.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "binocle/attention.h"
#include "binocle/error.h"
#include "binocle/export.h"
#include "binocle/interventions.h"

namespace binocle {

// A picture: a file, or the bytes of one (JPEG, PNG or WebP).
struct ImageInput {
  std::string path;                  // with bytes: what errors call the picture
  std::optional<std::string> bytes;  // absent: the file at path is read
  bool exif = true;                  // turned upright by its EXIF orientation; false: as stored

  static ImageInput FromFile(std::string path) { return {.path = std::move(path), .bytes = {}}; }
  // `name` stands for the picture in errors; no file is read.
  static ImageInput FromBytes(std::string bytes, std::string name = "image") {
    return {.path = std::move(name), .bytes = std::move(bytes)};
  }
};

enum class MessageRole : uint8_t { kUser, kAssistant };

// One turn of a dialogue. Pictures belong to user turns; the text may place them with `<image>`, otherwise they come first.
struct Message {
  MessageRole role = MessageRole::kUser;
  std::string text;
  std::vector<ImageInput> images;
};

enum class PromptFormat : uint8_t {
  kChat,  // messages are rendered with the model's conversation template
  kRaw,   // the one message's text is the whole prompt, `<image>` marks each picture
};

// Which tokens come next. Ranges are inclusive; a value outside them is INVALID_ARGUMENT.
struct GenerationOptions {
  int64_t max_new_tokens = 256;   // 1 … 1048576; the model's context ends an answer too
  double temperature = 0;         // 0 … 100; 0 takes the most probable token
  int64_t top_k = 0;              // 0 … : keep the k most probable; 0 keeps all
  double top_p = 1;               // 0 … 1: keep the smallest set of this mass
  double min_p = 0;               // 0 … 1: drop tokens below min_p × the best probability
  double repetition_penalty = 1;  // 0.01 … 100: above 1 makes repeated tokens less likely
  uint64_t seed = 0;              // same request, seed and backend: same tokens
  // The answer ends before the first of these, up to 64 texts of 1 … 1024 bytes.
  std::vector<std::string> stop;
  int64_t n = 1;         // 1 … 64 answers; answer i uses seed + i
  int64_t logprobs = 0;  // 0 … vocabulary: report the K most probable tokens at each step
};

// Throws INVALID_ARGUMENT for the first option outside its range; Error::option() names it. Engine::Generate does so itself; this
// serves those who want to know before a model is loaded. Without `vocabulary` (that of ModelInfo) logprobs has no upper end.
BINOCLE_EXPORT void CheckOptions(const GenerationOptions& options,
                                 std::optional<int64_t> vocabulary = {});

// What an answer may be; tokens that would leave it are never chosen, and the answer ends where it is complete and nothing may follow.
// The grammar of each is in docs/constraints.md; what is outside it is refused with INVALID_ARGUMENT or UNIMPLEMENTED.
struct Choices {
  std::vector<std::string> values;  // 1 … 1024 texts of 1 … 1024 bytes; the answer is one of them
  bool operator==(const Choices&) const = default;
};
struct Regex {
  std::string pattern;  // 1 … 65536 bytes; the whole answer matches
  bool operator==(const Regex&) const = default;
};
struct JsonSchema {
  std::string schema;  // 1 … 65536 bytes; the answer is a JSON text that the schema accepts
  bool operator==(const JsonSchema&) const = default;
};
using Constraint = std::variant<std::monostate, Choices, Regex, JsonSchema>;

struct Request {
  std::string id;                 // returned unchanged
  std::vector<Message> messages;  // user first, user and assistant in turn, user last
  PromptFormat prompt_format = PromptFormat::kChat;
  std::optional<std::string>
      system;  // absent: the template's own; empty: none, or what a public template makes of an empty one
  GenerationOptions generation;
  Interventions interventions;
  AttentionOptions attention;  // empty: as the model was loaded
  Constraint constraint;
  bool grounding = false;  // report Answer::grounding
  int64_t priority = 0;    // -100 … 100: requests with more are served first
  // The request fails with DEADLINE_EXCEEDED when it is not done by then.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// One user message about some pictures.
inline Request Ask(std::string prompt, std::vector<ImageInput> images = {}) {
  Request request;
  request.messages.push_back(
      {.role = MessageRole::kUser, .text = std::move(prompt), .images = std::move(images)});
  return request;
}

enum class FinishReason : uint8_t {
  kStop,       // an end token, a stop string, or a constraint that nothing more can follow
  kLength,     // max_new_tokens, or the context is full
  kCancelled,  // the caller said so
};

// "stop", "length", "cancelled".
BINOCLE_EXPORT std::string_view FinishReasonName(FinishReason reason);

struct TokenLogProbability {
  int32_t id = 0;
  double value = 0;  // natural logarithm, after interventions, before sampling filters
};

struct Answer {
  std::string text;
  FinishReason finish_reason = FinishReason::kStop;
  std::vector<int32_t> token_ids;  // with the end token, when there was one
  std::vector<std::vector<TokenLogProbability>>
      logprobs;  // per token, the K most probable first; empty unless asked for
  // Per token, 0 … 1: how much of the attention that led to it lay on the picture's content. The mean visual mass outside sinks
  // over the image-centric heads of all layers; 0 where no head is (docs/interventions.md). Empty unless asked for.
  std::vector<double> grounding;
};

// Milliseconds.
struct Timings {
  double load = 0;         // of the model, when it was loaded
  double decode = 0;       // pictures: decoding, resizing, normalising
  double anchor = 0;       // anchor tower
  double augment = 0;      // augmenting tower
  double fusion = 0;       // fusion and projector
  double prefill = 0;      // the prompt through the language model
  double first_token = 0;  // from the call to the first token
  double total = 0;        // from the call to the last token
  double per_token = 0;    // mean over the tokens after the first
};

struct Response {
  std::string id;
  std::string model;
  std::vector<Answer> answers;            // n of them
  int64_t prompt_tokens = 0;              // with image positions
  int64_t image_tokens = 0;               // image positions
  std::vector<int32_t> prompt_token_ids;  // image positions hold the model's image token id
  Timings timings;
  int64_t image_hits = 0;       // pictures that came from the image cache
  int64_t prefix_tokens = 0;    // prompt tokens whose keys and values were there already
  Interventions interventions;  // as applied, every default filled in
};

// New text of one answer. Deltas are never cumulative and always whole characters: one after the other they are the Answer.
struct Delta {
  int64_t answer = 0;  // index
  std::string_view text;
  std::vector<int32_t>
      token_ids;  // tokens since the previous delta of this answer; text may lag behind them
  std::vector<std::vector<TokenLogProbability>>
      logprobs;                   // per token of token_ids, as in Answer; empty unless asked for
  std::vector<double> grounding;  // per token of token_ids, as in Answer; empty unless asked for
};

// Both may be empty.
struct Observer {
  std::function<void(const Delta&)> on_delta;
  std::function<bool()>
      keep_going;  // asked before every prefill chunk and every token; false ends the request as kCancelled
};

// What is known when a request leaves the queue.
struct Started {
  int64_t prompt_tokens = 0;  // with image positions
  int64_t image_tokens = 0;
};

// How a submitted request reports. All are called on the engine's thread, one at a time and in this order; exactly one of the last two ends
// it. They return quickly (every other request waits meanwhile), do not throw, and call nothing of the engine but Submission::Cancel. Any
// may be empty.
struct SubmissionEvents {
  std::function<void(const Started&)> on_started;
  std::function<void(const Delta&)> on_delta;
  std::function<void(Response)>
      on_finished;  // also after a cancellation, as FinishReason::kCancelled
  std::function<void(const Error&)> on_error;
};

}  // namespace binocle
