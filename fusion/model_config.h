// Everything that config.json and its neighbours say about a model, checked, with families' differences resolved.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "binocle/layer_ranges.h"
#include "core/weight_kind.h"
#include "fusion/fusion.h"
#include "llm/conversation.h"
#include "llm/llama_decoder.h"
#include "vision/clip_encoder.h"
#include "vision/dinov2_encoder.h"
#include "vision/preprocess.h"
#include "vision/siglip_encoder.h"
#include "vision/tiling.h"

namespace binocle {

// A tower and the image processor that feeds it.
struct TowerConfig {
  std::variant<ClipConfig, Dinov2Config, SiglipConfig> shape;
  ImageProcessor processor;

  FeatureShape features() const;  // what it hands over
  std::string_view type() const;  // "clip_vision_model", "dinov2", "siglip_vision_model"
  int64_t patch_size() const;     // pixels a side
  bool has_class_token() const;
  const FeatureSelection& feature() const;
};

// A public checkpoint that a Binocle directory names for one of its parts.
struct ModelPart {
  std::string prefix;          // of its tensors: "anchor.", "augment.", "language_model."
  std::filesystem::path path;  // a directory, or a GGUF file
};

// What becomes of one picture.
struct PicturePlan {
  std::optional<TileLayout> tiles;  // absent: seen once
  int64_t tokens = 0;               // visual tokens

  int64_t views() const { return tiles ? tiles->views() : 1; }
};

// A checkpoint's chat template that has no renderer here.
struct UnknownTemplate {
  std::string name;  // "sha256 ab12…"
  std::string what;  // is wrong with it: a sentence that begins with its place
};

struct ModelConfig {
  std::string name;
  std::string family;  // model_type of config.json
  ConversationStyle conversation = ConversationStyle::kPlain;
  std::optional<UnknownTemplate> unknown_template;  // then no style renders a chat
  int32_t image_token = -1;  // the id that stands for a picture; −1 for a text model
  std::vector<int32_t>
      end_tokens;  // from generation_config.json and text_config; the tokenizer's is added later
  std::optional<TowerConfig> anchor;
  std::optional<TowerConfig> augment;
  FusionConfig fusion;
  bool fusion_overridden = false;  // tensors of the file's own fusion may be unused
  ProjectorConfig projector;
  std::optional<TilingConfig> tiling;  // pictures are seen in tiles; one tower, no fusion
  LlamaConfig text;
  LayerPlan layers;
  std::vector<ModelPart> parts;  // what is not in the directory itself

  // Where the language model comes from, if not from the directory itself.
  const std::filesystem::path* text_path() const;
  bool takes_pictures() const { return anchor || augment; }
  // The tower whose patches the visual tokens stand for. Needs takes_pictures().
  const TowerConfig& leading() const { return anchor ? *anchor : *augment; }
  int64_t visual_tokens() const;  // per picture; at most, where pictures are seen in tiles
  PicturePlan PlanPicture(int64_t width, int64_t height, Company company) const;  // pixels, upright
};

// What a caller may change of the layers' attention: --attention, --composite-layers, --aligner.
struct LayerOverrides {
  std::optional<LayerKind>
      attention;  // kComposite: the plan's own composite layers, or all where it has none
  std::optional<LayerRanges> composite_layers;  // these and no others
  std::optional<Aligner> aligner;
};

// Throws INVALID_ARGUMENT for layers that there are not and for contradictions; Error::option() names the option.
LayerPlan OverridePlan(LayerPlan plan, const LayerOverrides& overrides);

// What a caller may change: --fusion, --conversation and the above; and give: --projector.
struct ModelOverrides {
  std::optional<FusionType> fusion = {};
  std::optional<ConversationStyle> conversation = {};
  std::optional<std::filesystem::path> projector = {};  // beside a GGUF text model
  LayerOverrides layers = {};
  KindsByName kinds = {};  // of weights, by the names that parts ask for
  RankShare share = {};    // of the layers; a rank that is not 0 has nothing else of the model
};

// Reads config.json, preprocessor_config.json and generation_config.json of a directory. Throws NOT_FOUND, INVALID_ARGUMENT (file,
// key, found, expected) or UNIMPLEMENTED (a kind we know of and do not run).
ModelConfig ReadModelConfig(const std::filesystem::path& directory,
                            const ModelOverrides& overrides);

// "none", "vo", "vo_ffn", and back; `where` names the option or key.
std::string_view AlignerName(Aligner aligner);
Aligner ParseAligner(std::string_view name, const std::string& where);

}  // namespace binocle
