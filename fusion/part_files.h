// Parts of a Binocle directory that are public checkpoints of their own: {"path": "../clip-vit-large-patch14-336"} in anchor_config,
// augment_config or text_config (docs/model_format.md, Assembled models).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/gguf.h"
#include "core/json.h"
#include "core/weights.h"

namespace binocle {

// A section of config.json as it is meant: what is written there or, where it has a path, the configuration found there with the keys
// beside the path laid over.
class PartConfig {
 public:
  // Throws NOT_FOUND or INVALID_ARGUMENT for a path that leads to no checkpoint of the section's kind.
  static PartConfig Read(const std::filesystem::path& directory, const JsonObject& config,
                         std::string_view section);

  JsonObject json() const { return {json_, where_}; }
  const std::optional<std::filesystem::path>& path() const { return path_; }  // where it has one
  // The file of a text model that is one; nullptr otherwise.
  const std::shared_ptr<const GgufFile>& gguf() const { return gguf_; }

 private:
  Json json_;
  std::string where_;
  std::optional<std::filesystem::path> path_;
  std::shared_ptr<const GgufFile> gguf_;
};

// The tensors of the part at `path` under the names of docs/model_format.md, behind `prefix` ("anchor.", "language_model."). A checkpoint
// of more than a tower (CLIPModel, Dinov2ForImageClassification) gives its tower.
void AddPartTensors(const std::filesystem::path& path, const std::string& prefix, TensorSet& set);

}  // namespace binocle
