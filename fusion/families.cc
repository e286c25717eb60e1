#include "fusion/families.h"

#include <algorithm>
#include <utility>

#include "vision/vision_config.h"

namespace binocle {
namespace {

constexpr ModelFamily kFamilies[] = {
    {"binocle", ParseBinocleFamily, BinocleNames, nullptr},
    {"granite", ParseTextFamily, TextNames, nullptr},
    {"llama", ParseTextFamily, TextNames, nullptr},
    {"llava", ParseLlavaFamily, LlavaNames, LlavaAsBinocle},
    {"llava_next", ParseLlavaNextFamily, LlavaNames, nullptr},
    {"llava_onevision", ParseLlavaOneVisionFamily, LlavaNames, nullptr},
    {"mistral", ParseTextFamily, TextNames, nullptr},
    {"qwen2", ParseTextFamily, TextNames, nullptr},
    {"qwen3", ParseTextFamily, TextNames, nullptr},
    {"tinyllava", ParseTinyLlavaFamily, TinyLlavaNames, TinyLlavaAsBinocle},
};

// The size that every picture comes out with. A tower is built for one size.
std::pair<int64_t, int64_t> PixelsOf(const ProcessorConfig& processor, const JsonObject& json) {
  if (processor.crop) return {processor.crop->height, processor.crop->width};
  if (processor.resize && processor.resize->shortest_edge == 0)
    return {processor.resize->height, processor.resize->width};
  if (processor.resize && processor.pad_to_square)
    return {processor.resize->shortest_edge, processor.resize->shortest_edge};
  ThrowInvalid(json.where(),
               ": does not fix the size of its pictures, expected a centre crop or a size with "
               "height and width");
}

std::vector<bool> CompositeLayers(const JsonObject& composite, int64_t layers) {
  const Json& value =
      composite.json().contains("layers") ? composite.json()["layers"] : Json("all");
  if (value.is_string() && value.get<std::string>() == "all")
    return std::vector<bool>(static_cast<size_t>(layers), true);
  std::vector<bool> chosen(static_cast<size_t>(layers), false);
  for (const double number : composite.Numbers("layers")) {
    const bool within =
        number >= 0 && number < static_cast<double>(layers);  // before the cast, which has to fit
    if (!within || number != static_cast<double>(static_cast<int64_t>(number))) {
      composite.Fail("layers", "\"all\" or layer indices from 0 to " + std::to_string(layers - 1));
    }
    chosen[static_cast<size_t>(number)] = true;
  }
  return chosen;
}

}  // namespace

std::string ModelFiles::name() const {
  std::error_code failure;
  const std::filesystem::path path =
      std::filesystem::absolute(directory, failure).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

const ModelFamily& FindFamily(const JsonObject& config) {
  const std::string type = config.String("model_type");
  std::string known;
  for (const ModelFamily& family : kFamilies) {
    if (family.model_type == type) return family;
    known += internal::Concat(known.empty() ? "" : ", ", family.model_type);
  }
  Throw(Code::kUnimplemented, config.where(), ": model_type is ", Printable(type, 60),
        ", expected one of ", known);
}

int32_t ParseImageToken(const JsonObject& config, std::string_view key, int64_t vocabulary) {
  constexpr int32_t kOfNoVocabulary = -200;
  if (config.Has(key) && config.json().at(std::string(key)) == kOfNoVocabulary)
    return kOfNoVocabulary;
  return static_cast<int32_t>(config.Int(key, 0, vocabulary - 1));
}

TowerConfig ParseTower(const JsonObject& tower, const JsonObject& processor_json) {
  const std::string type = tower.String("model_type");
  const FeatureSelection feature = ParseFeatureSelection(tower);
  const ProcessorConfig processor = ParseProcessorConfig(processor_json);
  const std::pair<int64_t, int64_t> pixels = PixelsOf(processor, processor_json);
  const int64_t height = pixels.first, width = pixels.second;
  // CLIP and SigLIP know the positions of one size.
  const auto of_one_size = [&](const auto& shape) -> TowerConfig {
    if (height != shape.image_size || width != shape.image_size) {
      ThrowInvalid(processor_json.where(), ": makes pictures of ", height, "×", width,
                   ", expected ", shape.image_size, "×", shape.image_size, " (", tower.where(),
                   ": image_size)");
    }
    return {.shape = shape, .processor = ImageProcessor(processor)};
  };
  if (type == "clip_vision_model") return of_one_size(ParseClipConfig(tower, feature));
  if (type == "siglip_vision_model") return of_one_size(ParseSiglipConfig(tower, feature));
  if (type == "dinov2" || type == "dinov2_with_registers") {
    return {.shape = ParseDinov2Config(tower, feature, height, width),
            .processor = ImageProcessor(processor)};
  }
  Throw(Code::kUnimplemented, tower.where(), ": model_type is ", Printable(type, 60),
        ", expected one of clip_vision_model, dinov2, dinov2_with_registers, siglip_vision_model");
}

TowerConfig ParseLlavaTower(const JsonObject& tower, const JsonObject& processor) {
  TowerConfig config = ParseTower(tower, processor);
  if (const auto* dino = std::get_if<Dinov2Config>(&config.shape); dino && dino->registers > 0) {
    Throw(
        Code::kUnimplemented, tower.where(),
        ": model_type is dinov2_with_registers, whose registers LLaVA takes for patches; expected "
        "a tower without");
  }
  auto* siglip = std::get_if<SiglipConfig>(&config.shape);
  const std::string strategy = tower.StringOr("vision_feature_select_strategy", "default");
  if (siglip == nullptr || strategy != "default") return config;
  siglip->feature.drop_first_patch = true;
  if (siglip->grid().patches() < 2) tower.Fail("image_size", "room for two patches");
  return config;
}

void RefuseFusion(const ModelOverrides& overrides, const std::filesystem::path& text_model) {
  if (!overrides.fusion) return;
  ThrowOption("fusion", "is ", FusionTypeName(*overrides.fusion),
              ", expected none: ", text_model.string(), " is a text model");
}

LayerPlan PlanLayers(const JsonObject& config, int64_t layers, const ModelOverrides& overrides) {
  LayerPlan plan = LayerPlan::Stock(layers);
  if (config.Has("composite_attention")) {
    const JsonObject composite = config.Object("composite_attention");
    composite.OnlyKeys({"layers", "aligner"});
    plan.aligner = ParseAligner(composite.Choice("aligner", "vo", {"vo", "vo_ffn", "none"}),
                                composite.where());
    const std::vector<bool> chosen = CompositeLayers(composite, layers);
    for (size_t l = 0; l < chosen.size(); ++l)
      plan.kinds[l] = chosen[l] ? LayerKind::kComposite : LayerKind::kStock;
  }
  // A model that was not trained with composite attention needs its FFN on visual rows: the closest to stock.
  if (!plan.Has(LayerKind::kComposite)) plan.aligner = Aligner::kVoFfn;
  return OverridePlan(std::move(plan), overrides.layers);
}

LayerPlan OverridePlan(LayerPlan plan, const LayerOverrides& overrides) {
  const int64_t layers = std::ssize(plan.kinds);
  if (overrides.aligner) plan.aligner = *overrides.aligner;
  if (overrides.attention == LayerKind::kStock) {
    if (overrides.composite_layers)
      ThrowOption("composite_layers", "goes with composite attention, not stock");
    plan.kinds.assign(plan.kinds.size(), LayerKind::kStock);
  } else if (overrides.composite_layers) {
    const LayerRanges& composite = *overrides.composite_layers;
    if (composite.empty() || composite.last() >= layers) {
      ThrowOption("composite_layers", "is ", composite.empty() ? "empty" : composite.Text(),
                  ", expected layers within 0-", layers - 1, " (the model has ", layers,
                  " layers)");
    }
    for (int64_t l = 0; l < layers; ++l)
      plan.kinds[static_cast<size_t>(l)] =
          composite.Contains(l) ? LayerKind::kComposite : LayerKind::kStock;
  } else if (overrides.attention == LayerKind::kComposite && !plan.Has(LayerKind::kComposite)) {
    plan.kinds.assign(plan.kinds.size(), LayerKind::kComposite);
  }
  if (overrides.aligner && !plan.Has(LayerKind::kComposite))
    ThrowOption("aligner", "goes with composite attention, and every layer is stock");
  return plan;
}

}  // namespace binocle
