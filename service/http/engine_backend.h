// Engines, by name, behind the HTTP server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "binocle/engine.h"
#include "service/http/chat_backend.h"

namespace binocle::http {

// Translates and nothing else. Embeddings are the mean of a picture's visual tokens; of texts there are none.
class EngineBackend : public ChatBackend {
 public:
  struct Entry {
    std::string name;
    Engine* engine = nullptr;  // outlives the backend
    std::string fingerprint;
    // The bytes that a token adds to an answer. Empty: log-probabilities are refused, since their tokens would have no text.
    std::function<std::string(int32_t)> token_text;
  };
  // `created`: seconds since 1970, of all models.
  EngineBackend(std::vector<Entry> entries, int64_t created);

  std::vector<ServedModel> Models() const override;
  std::unique_ptr<ChatCall> Submit(const std::string& model, Request request,
                                   SubmissionEvents events) override;
  Explanation Explain(const std::string& model, const Request& request,
                      const ExplainOptions& options,
                      const std::function<bool()>& keep_going) override;
  Embeddings Embed(const std::string& model, const std::vector<EmbeddingInput>& inputs,
                   const EmbeddingOptions& options) override;
  std::string TokenText(const std::string& model, int32_t id) const override;

 private:
  const Entry& Find(const std::string& model) const;

  std::vector<Entry> entries_;
  int64_t created_;
};

}  // namespace binocle::http
