// The model directories of docs/model_format.md.
#include "core/mapped_file.h"
#include "fusion/families.h"
#include "fusion/part_files.h"
#include "llm/conversation.h"
#include "llm/gguf_config.h"
#include "llm/llm_config.h"

namespace binocle {
namespace {

// `type` is the file's, or what the caller put in its place.
FusionConfig ParseFusionConfig(const JsonObject& json, FusionType type, int64_t anchor_width) {
  json.OnlyKeys({"type", "hidden_size", "num_attention_heads", "norm", "residual", "layer_norm_eps",
                 "alpha"});
  FusionConfig c;
  c.type = type;
  c.alpha = static_cast<float>(json.NumberOr("alpha", 0.5, 0, 1));
  if (c.type != FusionType::kFtz) return c;
  c.heads = json.Int("num_attention_heads", 1, 256);
  c.width = json.IntOr("hidden_size", anchor_width, 1, 65536);
  if (c.width % c.heads != 0)
    json.Fail("hidden_size", "a multiple of num_attention_heads=" + std::to_string(c.heads));
  if (c.width / c.heads > kMaxHeadDim)
    json.Fail("num_attention_heads", "heads of at most " + std::to_string(kMaxHeadDim));
  const std::string norm = json.Choice("norm", "post", {"post", "pre", "none"});
  c.norm = norm == "post" ? FtzNorm::kPost : norm == "pre" ? FtzNorm::kPre : FtzNorm::kNone;
  c.residual = json.BoolOr("residual", true) ? Residual::kOn : Residual::kOff;
  c.epsilon = static_cast<float>(json.NumberOr("layer_norm_eps", 1e-5, 0, 1));
  return c;
}

// Notes where a part comes from.
PartConfig ReadPart(const ModelFiles& files, std::string_view section, const std::string& prefix,
                    ModelConfig& c) {
  PartConfig part = PartConfig::Read(files.directory, files.config, section);
  if (part.path()) c.parts.push_back({prefix, *part.path()});
  return part;
}

// The processor of the directory's own preprocessor_config.json or, where that has none for the role, of the part's.
TowerConfig ReadTower(const ModelFiles& files, const std::string& role, ModelConfig& c) {
  const PartConfig tower = ReadPart(files, role + "_config", role + ".", c);
  const auto own = files.directory / "preprocessor_config.json";
  if (IsThere(own) || !tower.path()) {
    const Json json = ReadJsonFile(own);
    const JsonObject processors(json, own.string());
    if (processors.Has(role) || !tower.path())
      return ParseTower(tower.json(), processors.Object(role));
  }
  const auto published = *tower.path() / "preprocessor_config.json";
  const Json json = ReadJsonFile(published);
  return ParseTower(tower.json(), JsonObject(json, published.string()));
}

}  // namespace

ModelConfig ParseBinocleFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  const JsonObject& config = files.config;
  config.Int("format_version", 1, 1);
  ModelConfig c;
  c.family = "binocle";
  c.name = config.StringOr("name", files.name());
  c.conversation = ParseConversationStyle(config.StringOr("conversation", "plain"),
                                          config.where() + ": conversation");
  const PartConfig text = ReadPart(files, "text_config", "language_model.", c);
  c.text = text.gguf() ? ReadGgufTextConfig(*text.gguf()) : ParseTextConfig(text.json());
  c.image_token = ParseImageToken(config, "image_token_index", c.text.vocabulary);
  const JsonObject fusion = config.Object("fusion_config");
  FusionType type = ParseFusionType(fusion.String("type"), fusion.where() + ": type");
  if (overrides.fusion) {
    type = *overrides.fusion;
    c.fusion_overridden = true;
  }
  if (UsesAnchor(type)) c.anchor = ReadTower(files, "anchor", c);
  if (UsesAugment(type)) c.augment = ReadTower(files, "augment", c);
  c.fusion = ParseFusionConfig(fusion, type, c.anchor ? c.anchor->features().width : 0);
  c.projector = {.hidden = c.text.width, .out = c.text.width};
  if (config.Has("projector_config")) {
    const JsonObject projector = config.Object("projector_config");
    projector.OnlyKeys({"type", "hidden_size", "bias"});
    projector.Choice("type", "mlp2x_gelu", {"mlp2x_gelu"});
    c.projector.hidden = projector.IntOr("hidden_size", c.text.width, 1, 65536);
    c.projector.bias = projector.BoolOr("bias", true) ? Bias::kPresent : Bias::kAbsent;
  }
  c.layers = PlanLayers(config, c.text.layers, overrides);
  return c;
}

NameMap BinocleNames(const TensorSet&) { return {}; }

}  // namespace binocle
