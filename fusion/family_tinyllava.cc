// TinyLlavaForConditionalGeneration of TinyLLaVA Factory: a CLIP or SigLIP tower and a two-layer projector, with a text model of llm_config.h. No part of transformers: names and rules are those of its source.
#include "core/mapped_file.h"
#include "fusion/families.h"
#include "llm/llm_config.h"
#include "vision/vision_config.h"

namespace binocle {

// "patch" drops the first token whatever it is; "cls_patch" keeps all.
Json TinyLlavaTower(const JsonObject& config) {
  Json json = config.Object("vision_config").json();
  const std::string strategy =
      config.Choice("vision_feature_select_strategy", "patch", {"patch", "cls_patch"});
  json["vision_feature_select_strategy"] = strategy == "patch" ? "default" : "full";
  if (config.Has("vision_feature_layer"))
    json["vision_feature_layer"] = config.json()["vision_feature_layer"];
  return json;
}

// The directory's own processor or, as these checkpoints have none, that of the tower's original.
Json TinyLlavaProcessor(const ModelFiles& files) {
  const Json tower = files.config.Object("vision_config").json();
  Json processor;
  const auto path = files.directory / "preprocessor_config.json";
  if (IsThere(path)) {
    processor = ReadJsonFile(path);
  } else {
    const JsonObject shape(tower, files.config.where() + ": vision_config");
    const int64_t side = shape.IntOr("image_size", 224, 1, kMaxProcessedSide);
    const Json square = {{"height", side}, {"width", side}};
    if (tower.value("model_type", "") == "siglip_vision_model") {
      processor = {{"image_processor_type", "SiglipImageProcessor"}, {"size", square}};
    } else {
      processor = {{"image_processor_type", "CLIPImageProcessor"},
                   {"size", {{"shortest_edge", side}}},
                   {"crop_size", square}};
    }
  }
  processor["image_aspect_ratio"] =
      files.config.Choice("image_aspect_ratio", "square", {"square", "pad"});
  return processor;
}
ModelConfig ParseTinyLlavaFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  const JsonObject& config = files.config;
  if (overrides.fusion && *overrides.fusion != FusionType::kAnchor) {
    ThrowOption("fusion", "is ", FusionTypeName(*overrides.fusion),
                ", expected anchor: ", files.directory.string(),
                " is a TinyLLaVA model with one tower");
  }
  const std::string connector = config.String("connector_type");
  if (connector != "mlp2x_gelu") {
    Throw(Code::kUnimplemented, config.where(), ": connector_type is ", Printable(connector, 60),
          ", expected mlp2x_gelu");
  }
  ModelConfig c;
  c.family = "tinyllava";
  c.name = files.name();
  c.conversation = ConversationStyle::kVicunaV1;
  c.text = ParseTextConfig(config.Object("text_config"));
  c.image_token = config.Has("image_token_index")
                      ? ParseImageToken(config, "image_token_index", c.text.vocabulary)
                      : -200;
  const Json tower = TinyLlavaTower(config);
  const Json processor = TinyLlavaProcessor(files);
  c.anchor = ParseLlavaTower(
      JsonObject(tower, config.where() + ": vision_config"),
      JsonObject(processor, files.directory.string() + "/preprocessor_config.json"));
  c.fusion.type = FusionType::kAnchor;
  c.projector = {.hidden = c.text.width, .out = c.text.width};
  c.layers = PlanLayers(config, c.text.layers, overrides);
  return c;
}

NameMap TinyLlavaNames(const TensorSet&) {
  return {{{"anchor.", "vision_tower._vision_tower."},
           {"projector.linear_1.", "connector._connector.0."},
           {"projector.linear_2.", "connector._connector.2."}}};
}

}  // namespace binocle
