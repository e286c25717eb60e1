// LlavaForConditionalGeneration of transformers: one tower, the two-layer projector, a text model of llm_config.h.
#include "fusion/families.h"
#include "llm/llm_config.h"
#include "vision/vision_config.h"

namespace binocle {
// LLaVA keeps the feature selection beside the towers; a tower's own configuration carries it here.
Json TowerWithSelection(const JsonObject& config) {
  Json tower = config.Object("vision_config").json();
  for (const char* key : {"vision_feature_layer", "vision_feature_select_strategy"}) {
    if (config.Has(key)) tower[key] = config.json()[key];
  }
  if (!tower.contains("model_type")) tower["model_type"] = "clip_vision_model";
  return tower;
}

void RefuseFusionOfOneTower(const ModelFiles& files, const ModelOverrides& overrides) {
  if (!overrides.fusion || *overrides.fusion == FusionType::kAnchor) return;
  ThrowOption("fusion", "is ", FusionTypeName(*overrides.fusion),
              ", expected anchor: ", files.directory.string(), " is a LLaVA model with one tower");
}

ProjectorConfig LlavaProjector(const JsonObject& config, const LlamaConfig& text) {
  config.Choice("projector_hidden_act", "gelu", {"gelu"});
  return {
      .hidden = text.width,
      .out = text.width,
      .bias = config.BoolOr("multimodal_projector_bias", true) ? Bias::kPresent : Bias::kAbsent};
}

ModelConfig ParseLlavaFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  const JsonObject& config = files.config;
  RefuseFusionOfOneTower(files, overrides);
  const auto processor_path = files.directory / "preprocessor_config.json";
  const Json processor = ReadJsonFile(processor_path);
  const Json tower = TowerWithSelection(config);
  ModelConfig c;
  c.family = "llava";
  c.name = files.name();
  c.conversation = ConversationStyle::kVicunaV1;
  const JsonObject text = config.Object("text_config");
  c.text = ParseTextConfig(text);
  // The head is LLaVA's, not that of the text model, and divides nothing.
  c.text.logits_scaling = 1;
  const char* image_key = config.Has("image_token_index") ? "image_token_index" : "image_token_id";
  c.image_token = static_cast<int32_t>(config.IntOr(image_key, 32000, 0, c.text.vocabulary - 1));
  c.anchor = ParseLlavaTower(JsonObject(tower, config.where() + ": vision_config"),
                             JsonObject(processor, processor_path.string()));
  c.fusion.type = FusionType::kAnchor;
  c.projector = LlavaProjector(config, c.text);
  c.layers = PlanLayers(config, c.text.layers, overrides);
  return c;
}

NameMap LlavaNames(const TensorSet& tensors) {
  if (tensors.HasPrefix("model.vision_tower.")) {
    return {{{"anchor.", "model.vision_tower."},
             {"projector.", "model.multi_modal_projector."},
             {"image_newline", "model.image_newline"},
             {"language_model.model.", "model.language_model."},
             {"language_model.lm_head.", "lm_head."}}};
  }
  return {{{"anchor.", "vision_tower."}, {"projector.", "multi_modal_projector."}}};
}

}  // namespace binocle
