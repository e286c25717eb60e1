// What the servers need of a model. engine_backend.h makes one of an Engine; tests have fakes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/explain.h"
#include "binocle/model_info.h"
#include "binocle/request.h"

namespace binocle {

// One model. From any thread; functions throw binocle::Error.
class ModelBackend {
 public:
  // Asks a submitted request to end; from any thread, also after its end, any number of times.
  using Cancel = std::function<void()>;
  // Asked now and then by calls that block; false ends them.
  using KeepGoing = std::function<bool()>;

  ModelBackend() = default;
  ModelBackend(const ModelBackend&) = delete;
  ModelBackend& operator=(const ModelBackend&) = delete;
  virtual ~ModelBackend() = default;

  virtual const ModelInfo& info() const = 0;
  // Gives a request the deadline that the server gives all, where its own is not earlier: of those that wait before they are handed over. Submit and
  // Explain do it too.
  virtual void LimitTime(Request& /*request*/) const {}
  // Throws what Submit would where as many requests wait as may: before much is fetched for one more.
  virtual void CheckRoom() const {}
  // As Engine::Submit: returns at once, and `events` tell how it goes, possibly before it has returned.
  virtual Cancel Submit(Request request, SubmissionEvents events) = 0;
  // These block. CANCELLED when keep_going says no.
  virtual Explanation Explain(const Request& request, const ExplainOptions& options,
                              const KeepGoing& keep_going) = 0;
  virtual Embedding EmbedImage(const ImageInput& image, const EmbeddingOptions& options,
                               const KeepGoing& keep_going) = 0;
  virtual Embedding EmbedText(const std::string& text, const EmbeddingOptions& options,
                              const KeepGoing& keep_going) = 0;
  // The bytes that a token adds to an answer; empty for special tokens.
  virtual std::string TokenText(int32_t id) const = 0;
};

struct NamedModel {
  std::string name;  // what requests call it
  // Owned by the servers and by the calls under way.
  std::shared_ptr<ModelBackend> backend;
  int64_t created = 0;  // seconds since 1970
  // Changes with whatever may change an answer: version, weights, compute kind.
  std::string fingerprint;
};

// The models of a server, the default one first.
class ModelList {
 public:
  // INVALID_ARGUMENT for no models, an empty name, or a name twice.
  explicit ModelList(std::vector<NamedModel> models);

  // NOT_FOUND for a name that is not there, with the names that are.
  const NamedModel& Find(std::string_view name) const;
  const NamedModel& FindOrDefault(std::string_view name) const {
    return name.empty() ? models_[0] : Find(name);
  }
  const std::vector<NamedModel>& all() const { return models_; }

 private:
  std::vector<NamedModel> models_;
};

}  // namespace binocle
