// A backend without a model: it says what it was asked, or what a script has it do.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "service/common/model_backend.h"

namespace binocle::http::testing {

// How a request goes.
struct Script {
  std::vector<std::string> words;        // one delta each
  std::chrono::milliseconds before{0};   // the first
  std::chrono::milliseconds between{0};  // two words
  std::optional<Error> refused;          // thrown by Submit
  std::optional<Error> fails_at_start;   // before on_started
  std::optional<Error> fails_at_end;     // after all words
  FinishReason finish = FinishReason::kStop;
};

// "You asked: <text>. I see N pictures." in words.
Script EchoScript(const Request& request);

class FakeBackend : public ModelBackend {
 public:
  using Write = std::function<Script(const Request&)>;
  explicit FakeBackend(Write write = EchoScript) : write_(std::move(write)) {}
  // Waits for every request.
  ~FakeBackend() override;

  const ModelInfo& info() const override { return info_; }
  Cancel Submit(Request request, SubmissionEvents events) override;
  // Words of the echo, each with a spot of attention that wanders over the picture.
  Explanation Explain(const Request& request, const ExplainOptions& options,
                      const KeepGoing& keep_going) override;
  // {length of the text or picture, 0.5, -0.25}; errors, in an engine's words, for a blank text and a picture of less than 8 bytes.
  Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& options,
                       const KeepGoing& keep_going) override;
  Embedding EmbedText(const std::string& text, const EmbeddingOptions& options,
                      const KeepGoing& keep_going) override;
  // Token i > 0 is the word "w<i> "; 0 ends.
  std::string TokenText(int32_t id) const override;

  // Explanations show the picture that was sent; without, a grey one, and no decoder runs.
  bool decodes_pictures = false;
  std::atomic<int64_t> submitted = 0, cancelled = 0, finished = 0;
  // The last request that was submitted.
  Request last() const;

 private:
  Write write_;
  ModelInfo info_{.vocabulary = 1000};
  mutable std::mutex mutex_;
  Request last_;
  std::vector<std::thread> threads_;
};

// It, under the names "fake" and "org/other". It outlives the server.
ModelList Served(FakeBackend& backend);

}  // namespace binocle::http::testing
