// What the services need of a model. engine_backend.h makes one of an Engine; tests have a fake.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/embedding.h"
#include "binocle/engine.h"
#include "binocle/explain.h"
#include "binocle/model_info.h"
#include "binocle/request.h"

namespace binocle {

struct EmbedInput {
  std::vector<ImageInput> images;
  std::vector<std::string> texts;
  Pooling pooling = Pooling::kMean;
  bool normalize = false;
};

// The vectors of one picture or text.
struct Vectors {
  int64_t rows = 0;
  int64_t width = 0;
  std::vector<float> values;  // [rows, width] row-major
};

struct EmbedOutput {
  std::vector<Vectors> images;
  std::vector<Vectors> texts;
};

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
  // As Engine::Submit: returns at once, and `events` tell how it goes, possibly before it has returned.
  virtual Cancel Submit(Request request, SubmissionEvents events) = 0;
  // These two block. CANCELLED when keep_going says no.
  virtual Explanation Explain(const Request& request, const ExplainOptions& options,
                              const KeepGoing& keep_going) = 0;
  virtual EmbedOutput Embed(const EmbedInput& input, const KeepGoing& keep_going) = 0;
};

struct NamedModel {
  std::string name;  // what requests call it
  // Owned by the server and by the calls under way.
  std::shared_ptr<ModelBackend> backend;
};

// The models of a server, the default one first.
class ModelList {
 public:
  // INVALID_ARGUMENT for no models, an empty name, or a name twice.
  explicit ModelList(std::vector<NamedModel> models);

  // Empty: the default model. NOT_FOUND for a name that is not there, with the names that are.
  const NamedModel& Find(std::string_view name) const;
  const std::vector<NamedModel>& all() const { return models_; }

 private:
  std::vector<NamedModel> models_;
};

}  // namespace binocle
