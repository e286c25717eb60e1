// What the HTTP server asks of those who answer: the engine behind it (engine_backend.h), or a made one in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binocle/explain.h"
#include "binocle/request.h"

namespace binocle::http {

struct ServedModel {
  std::string id;       // as requests name it
  int64_t created = 0;  // seconds since 1970
  std::string
      fingerprint;  // changes with whatever may change an answer: version, weights, compute kind
};

// One of the two.
struct EmbeddingInput {
  std::string text;
  std::optional<ImageInput> image;
};

enum class Pooling : uint8_t {
  kMean,    // of all tokens
  kClass,   // the tower's class token
  kPooled,  // the tower's own pooled output
};

struct EmbeddingOptions {
  Pooling pooling = Pooling::kMean;
  bool normalize = true;  // to length 1
};

struct Embeddings {
  std::vector<std::vector<float>> vectors;  // per input
  int64_t prompt_tokens = 0;                // of all inputs
};

// A queued request. Destroying it neither waits nor cancels.
class ChatCall {
 public:
  virtual ~ChatCall() = default;
  // From any thread, also after the end.
  virtual void Cancel() = 0;
};

// All throw binocle::Error: NOT_FOUND with the option "model" for a model that is not served. Called from many threads at a time.
class ChatBackend {
 public:
  virtual ~ChatBackend() = default;

  virtual std::vector<ServedModel> Models() const = 0;

  // As Engine::Submit: throws what can be seen at once, else exactly one of on_finished and on_error ends it. Events come on another
  // thread and may come before Submit returns.
  virtual std::unique_ptr<ChatCall> Submit(const std::string& model, Request request,
                                           SubmissionEvents events) = 0;
  // As Engine::Explain. `keep_going` is asked now and then; false ends the work with CANCELLED or with what there is.
  virtual Explanation Explain(const std::string& model, const Request& request,
                              const ExplainOptions& options,
                              const std::function<bool()>& keep_going) = 0;
  virtual Embeddings Embed(const std::string& model, const std::vector<EmbeddingInput>& inputs,
                           const EmbeddingOptions& options) = 0;
  // The bytes that a token adds to an answer; empty for special tokens.
  virtual std::string TokenText(const std::string& model, int32_t id) const = 0;
};

}  // namespace binocle::http
