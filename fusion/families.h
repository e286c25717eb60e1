// The table of model families: one row says how a family's configuration is read and how its checkpoints spell tensor names.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "core/json.h"
#include "core/weights.h"
#include "fusion/model_config.h"
#include "llm/tokenizer.h"

namespace binocle {

// What a family reads.
struct ModelFiles {
  std::filesystem::path directory;
  JsonObject config;  // config.json

  std::string name() const;  // the directory's own, however it was spelled: "llava" for "./llava/"
};

// What docs/model_format.md says in two files.
struct BinocleForm {
  Json config;
  Json processors;
};

struct ModelFamily {
  std::string_view model_type;  // of config.json
  ModelConfig (*parse)(const ModelFiles& files, const ModelOverrides& overrides);
  NameMap (*names)(const TensorSet& tensors);  // from docs/model_format.md's names to the file's
  // config.json and preprocessor_config.json of docs/model_format.md that say the same; null where there is none (a text model).
  BinocleForm (*as_binocle)(const ModelFiles& files, const ModelConfig& config);
};

// Throws UNIMPLEMENTED naming the known families.
const ModelFamily& FindFamily(const JsonObject& config);

// A GGUF file, read and, but for its weights, checked.
struct GgufModel {
  ModelConfig config;
  TensorSet tensors;  // under docs/model_format.md's names
  std::unique_ptr<Tokenizer> tokenizer;
};
GgufModel ReadGgufModel(const std::filesystem::path& path, const ModelOverrides& overrides);

// Pieces that families share.
void RefuseFusion(const ModelOverrides& overrides, const std::filesystem::path& text_model);
// An id of the vocabulary, or LLaVA's −200, which no text has.
int32_t ParseImageToken(const JsonObject& config, std::string_view key, int64_t vocabulary);
TowerConfig ParseTower(const JsonObject& tower, const JsonObject& processor);
// As LLaVA reads its tower: strategy "default" drops the first token, which is a patch where there is no class token.
TowerConfig ParseLlavaTower(const JsonObject& tower, const JsonObject& processor);
LayerPlan PlanLayers(const JsonObject& config, int64_t layers, const ModelOverrides& overrides);

// Rows of the table, one file each.
ModelConfig ParseBinocleFamily(const ModelFiles& files, const ModelOverrides& overrides);
NameMap BinocleNames(const TensorSet& tensors);
ModelConfig ParseTinyLlavaFamily(const ModelFiles& files, const ModelOverrides& overrides);
NameMap TinyLlavaNames(const TensorSet& tensors);
ModelConfig ParseTextFamily(const ModelFiles& files, const ModelOverrides& overrides);
NameMap TextNames(const TensorSet& tensors);
ModelConfig ParseLlavaFamily(const ModelFiles& files, const ModelOverrides& overrides);
NameMap LlavaNames(const TensorSet& tensors);
// Parts of it that the tiled families share.
void RefuseFusionOfOneTower(const ModelFiles& files, const ModelOverrides& overrides);
ProjectorConfig LlavaProjector(const JsonObject& config, const LlamaConfig& text);
ModelConfig ParseLlavaNextFamily(const ModelFiles& files, const ModelOverrides& overrides);
ModelConfig ParseLlavaOneVisionFamily(const ModelFiles& files, const ModelOverrides& overrides);
BinocleForm LlavaAsBinocle(const ModelFiles& files, const ModelConfig& config);
BinocleForm TinyLlavaAsBinocle(const ModelFiles& files, const ModelConfig& config);
// vision_config with the selection of features, and the processor that goes with it.
Json TinyLlavaTower(const JsonObject& config);
Json TinyLlavaProcessor(const ModelFiles& files);
// vision_config with the selection of features, as a Binocle directory's anchor_config has it.
Json TowerWithSelection(const JsonObject& config);

}  // namespace binocle
