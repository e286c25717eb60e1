// The model directories of docs/model_format.md.
#include "fusion/families.h"
#include "llm/conversation.h"
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

}  // namespace

ModelConfig ParseBinocleFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  const JsonObject& config = files.config;
  config.Int("format_version", 1, 1);
  const Json processors_json = ReadJsonFile(files.directory / "preprocessor_config.json");
  const JsonObject processors(processors_json,
                              (files.directory / "preprocessor_config.json").string());
  ModelConfig c;
  c.family = "binocle";
  c.name = config.StringOr("name", files.name());
  c.conversation = ParseConversationStyle(config.StringOr("conversation", "plain"),
                                          config.where() + ": conversation");
  c.text = ParseTextConfig(config.Object("text_config"));
  c.image_token = static_cast<int32_t>(config.Int("image_token_index", 0, c.text.vocabulary - 1));
  const JsonObject fusion = config.Object("fusion_config");
  FusionType type = ParseFusionType(fusion.String("type"), fusion.where() + ": type");
  if (overrides.fusion) {
    type = *overrides.fusion;
    c.fusion_overridden = true;
  }
  if (UsesAnchor(type))
    c.anchor = ParseTower(config.Object("anchor_config"), processors.Object("anchor"));
  if (UsesAugment(type))
    c.augment = ParseTower(config.Object("augment_config"), processors.Object("augment"));
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
