// LlavaNextForConditionalGeneration and LlavaOnevisionForConditionalGeneration of transformers: LLaVA (family_llava.cc) whose pictures are
// seen in tiles (vision/tiling.h).
#include <charconv>
#include <string>

#include "fusion/families.h"
#include "llm/llm_config.h"

namespace binocle {
namespace {

// Where the two differ.
struct TiledFamily {
  const char* name;
  const char* processor;  // without a suffix
  int64_t image_token;
  int64_t feature_layer;
  const char* strategy;
  const char* tower;  // model_type of vision_config where it says nothing
  const char* text;
  ConversationStyle conversation;  // of a directory without a template
  int64_t side;                    // of the overview, where preprocessor_config.json says nothing
  bool crops;                      // its processor has a centre crop
};
constexpr TiledFamily kNext = {.name = "llava_next",
                               .processor = "LlavaNext",
                               .image_token = 32000,
                               .feature_layer = -2,
                               .strategy = "default",
                               .tower = "clip_vision_model",
                               .text = "llama",
                               .conversation = ConversationStyle::kVicunaV1,
                               .side = 224,
                               .crops = true};
constexpr TiledFamily kOneVision = {.name = "llava_onevision",
                                    .processor = "LlavaOnevision",
                                    .image_token = 151646,
                                    .feature_layer = -1,
                                    .strategy = "full",
                                    .tower = "siglip_vision_model",
                                    .text = "qwen2",
                                    .conversation = ConversationStyle::kLlavaOnevision,
                                    .side = 384,
                                    .crops = false};

// A part of the configuration whose model_type may be missing.
Json WithType(const JsonObject& config, std::string_view key, const char* type) {
  Json part = config.Object(key).json();
  if (!part.contains("model_type")) part["model_type"] = type;
  return part;
}

// preprocessor_config.json as that of the overview, which the classes of vision/preprocess.h describe: squashed to one size.
Json OverviewProcessor(const JsonObject& processor, const TiledFamily& family) {
  const std::string type = processor.String("image_processor_type");
  const std::string slow = std::string(family.processor) + "ImageProcessor";
  if (type != slow && type != slow + "Fast")
    processor.Fail("image_processor_type", slow + " or " + slow + "Fast");
  const int64_t side = [&] {
    if (!processor.Has("size")) return family.side;
    const JsonObject size = processor.Object("size");
    if (size.Has("shortest_edge")) return size.Int("shortest_edge", 1, kMaxProcessedSide);
    const int64_t height = size.Int("height", 1, kMaxProcessedSide);
    return size.Int("width", height, height);
  }();
  for (const char* key : {"do_resize", "do_rescale", "do_normalize", "do_pad"}) {
    if (!processor.BoolOr(key, true)) processor.Fail(key, "true");
  }
  Json overview = processor.json();
  overview["image_processor_type"] = "CLIPImageProcessor";
  overview["size"] = {{"height", side}, {"width", side}};
  overview["do_center_crop"] = false;
  overview.erase("image_aspect_ratio");
  overview.erase("crop_size");
  // Tiles are cropped once more after they were cut.
  if (family.crops && processor.BoolOr("do_center_crop", true)) {
    const Json crop =
        processor.Has("crop_size") ? processor.json()["crop_size"] : Json(family.side);
    if (crop != Json(overview["size"]) && crop != Json(side))
      processor.Fail("crop_size", std::to_string(side) + " a side, the size of a tile");
  }
  return overview;
}

std::vector<TilingConfig::Resolution> ReadResolutions(const JsonObject& json, int64_t side) {
  constexpr size_t kMostResolutions = 1024;
  constexpr int64_t kMostTiles = 256;
  const std::string expected =
      internal::Concat("a list of 1 to ", kMostResolutions, " [height, width], multiples of ", side,
                       ", of at most ", kMostTiles, " tiles each");
  const Json& list = json.json().at("image_grid_pinpoints");
  if (!list.is_array() || list.empty() || list.size() > kMostResolutions)
    json.Fail("image_grid_pinpoints", expected);
  std::vector<TilingConfig::Resolution> resolutions;
  for (const Json& pair : list) {
    const auto is_side = [&](const Json& n) {
      return n.is_number_integer() && n.get<double>() >= 1 && n.get<double>() <= 1 << 20 &&
             n.get<int64_t>() % side == 0;
    };
    if (!pair.is_array() || pair.size() != 2 || !is_side(pair[0]) || !is_side(pair[1]))
      json.Fail("image_grid_pinpoints", expected);
    resolutions.push_back({.height = pair[0].get<int64_t>(), .width = pair[1].get<int64_t>()});
    if (resolutions.back().height / side * (resolutions.back().width / side) > kMostTiles)
      json.Fail("image_grid_pinpoints", expected);
  }
  return resolutions;
}

// "anyres_max_9"
int64_t ReadMaxViews(const JsonObject& config) {
  constexpr std::string_view kPrefix = "anyres_max_";
  const std::string text = config.StringOr("vision_aspect_ratio", "anyres_max_9");
  int64_t views = 0;
  const char* begin = text.data() + std::min(text.size(), kPrefix.size());
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), views);
  if (!text.starts_with(kPrefix) || error != std::errc() || end != text.data() + text.size() ||
      views < 1 || views > 1024)
    config.Fail("vision_aspect_ratio", "anyres_max_N with N from 1 to 1024");
  return views;
}

// Those of the configuration's class.
Json DefaultResolutions(const TiledFamily& family) {
  if (family.crops) return {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  Json list = Json::array();
  for (int64_t height = 384; height <= 2304; height += 384) {
    for (int64_t width = 384; width <= 2304; width += 384) list.push_back({height, width});
  }
  return list;
}

// Both files tell of the resolutions; transformers cuts by the processor's and puts together by the model's.
Json WithResolutions(const JsonObject& json, const TiledFamily& family) {
  Json out = json.json();
  if (!json.Has("image_grid_pinpoints")) out["image_grid_pinpoints"] = DefaultResolutions(family);
  return out;
}

TilingConfig ParseTiling(const JsonObject& config, const JsonObject& processor,
                         const TowerConfig& tower, const TiledFamily& family) {
  const FeatureShape features = tower.features();
  const PatchGrid grid = features.grid;
  if (grid.height != grid.width || features.tokens != grid.patches()) {
    config.Fail("vision_feature_select_strategy",
                "one that leaves the patches of a square and nothing else");
  }
  const int64_t side = tower.processor.config().resize->width;
  const Json of_model = WithResolutions(config, family);
  const Json of_processor = WithResolutions(processor, family);
  TilingConfig tiling{
      .resolutions = ReadResolutions(JsonObject(of_model, config.where()), side),
      .side = side,
      .patches = grid.width,
  };
  if (of_model["image_grid_pinpoints"] != of_processor["image_grid_pinpoints"]) {
    processor.Fail("image_grid_pinpoints", "the list in " + config.where());
  }
  if (!family.crops) {
    tiling.max_views = ReadMaxViews(config);
    tiling.tiles_among_others = false;
  }
  return tiling;
}

ModelConfig ParseTiled(const ModelFiles& files, const ModelOverrides& overrides,
                       const TiledFamily& family) {
  const JsonObject& config = files.config;
  RefuseFusionOfOneTower(files, overrides);
  const auto processor_path = files.directory / "preprocessor_config.json";
  const Json processor_json = ReadJsonFile(processor_path);
  const JsonObject processor(processor_json, processor_path.string());
  const Json overview = OverviewProcessor(processor, family);
  Json tower = WithType(config, "vision_config", family.tower);
  tower["vision_feature_layer"] = family.feature_layer;
  tower["vision_feature_select_strategy"] = family.strategy;
  for (const char* key : {"vision_feature_layer", "vision_feature_select_strategy"}) {
    if (config.Has(key)) tower[key] = config.json()[key];
  }
  const Json text = WithType(config, "text_config", family.text);

  ModelConfig c;
  c.family = family.name;
  c.name = files.name();
  c.conversation = family.conversation;
  c.text = ParseTextConfig(JsonObject(text, config.where() + ": text_config"));
  c.text.logits_scaling = 1;  // as in LLaVA
  const char* image_key = config.Has("image_token_index") ? "image_token_index" : "image_token_id";
  c.image_token =
      static_cast<int32_t>(config.IntOr(image_key, family.image_token, 0, c.text.vocabulary - 1));
  c.anchor = ParseLlavaTower(JsonObject(tower, config.where() + ": vision_config"),
                             JsonObject(overview, processor_path.string()));
  c.tiling = ParseTiling(config, processor, *c.anchor, family);
  c.fusion.type = FusionType::kAnchor;
  c.projector = LlavaProjector(config, c.text);
  c.layers = PlanLayers(config, c.text.layers, overrides);
  return c;
}

}  // namespace

ModelConfig ParseLlavaNextFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  return ParseTiled(files, overrides, kNext);
}

ModelConfig ParseLlavaOneVisionFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  return ParseTiled(files, overrides, kOneVision);
}

}  // namespace binocle
