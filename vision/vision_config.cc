#include "vision/vision_config.h"

#include <algorithm>

namespace binocle {
namespace {

void CheckFeatureLayer(const JsonObject& json, const FeatureSelection& feature, int64_t layers) {
  const int64_t run = LayersToRun(feature, layers);
  if (run < 0 || run > layers) {
    ThrowInvalid(json.where(), ": vision_feature_layer ", feature.layer, " is outside the ",
                 layers + 1, " hidden states of the tower");
  }
}

void CheckHeads(const JsonObject& json, int64_t width, int64_t heads) {
  if (width % heads != 0)
    json.Fail("hidden_size", "a multiple of num_attention_heads=" + std::to_string(heads));
  if (width / heads > kMaxHeadDim)
    json.Fail("num_attention_heads", "heads of at most " + std::to_string(kMaxHeadDim));
}

void CheckPatch(const JsonObject& json, int64_t patch_size, int64_t image_size) {
  if (patch_size > image_size)
    json.Fail("patch_size", "at most image_size=" + std::to_string(image_size));
}

// hidden_act of CLIP and SigLIP.
Activation ParseActivation(const JsonObject& json, const char* fallback) {
  const std::string name =
      json.Choice("hidden_act", fallback, {"quick_gelu", "gelu", "gelu_pytorch_tanh"});
  if (name == "gelu") return Activation::kGelu;
  return name == "quick_gelu" ? Activation::kQuickGelu : Activation::kGeluTanh;
}

}  // namespace

FeatureSelection ParseFeatureSelection(const JsonObject& json) {
  if (json.Has("vision_feature_layer") && json.json()["vision_feature_layer"].is_array()) {
    Throw(Code::kUnimplemented, json.where(),
          ": vision_feature_layer is a list; features of several layers are not supported yet");
  }
  return {.layer = json.IntOr("vision_feature_layer", -2, -1024, 1024),
          .keep_class_token = json.Choice("vision_feature_select_strategy", "default",
                                          {"default", "full"}) == "full",
          .final_norm = json.BoolOr("vision_feature_norm", false)};
}

ClipConfig ParseClipConfig(const JsonObject& json, const FeatureSelection& feature) {
  json.IntOr("num_channels", 3, 3, 3);
  ClipConfig c{.width = json.IntOr("hidden_size", 768, 1, 16384),
               .ff_width = json.IntOr("intermediate_size", 3072, 1, 65536),
               .layers = json.IntOr("num_hidden_layers", 12, 1, 256),
               .heads = json.IntOr("num_attention_heads", 12, 1, 256),
               .image_size = json.IntOr("image_size", 224, 1, 4096),
               .patch_size = json.IntOr("patch_size", 32, 1, 512),
               .epsilon = static_cast<float>(json.NumberOr("layer_norm_eps", 1e-5, 0, 1)),
               .feature = feature};
  c.activation = ParseActivation(json, "quick_gelu");
  CheckHeads(json, c.width, c.heads);
  CheckPatch(json, c.patch_size, c.image_size);
  CheckFeatureLayer(json, feature, c.layers);
  return c;
}

SiglipConfig ParseSiglipConfig(const JsonObject& json, FeatureSelection feature) {
  json.IntOr("num_channels", 3, 3, 3);
  feature.keep_class_token = false;
  const SiglipConfig c{.width = json.IntOr("hidden_size", 768, 1, 16384),
                       .ff_width = json.IntOr("intermediate_size", 3072, 1, 65536),
                       .layers = json.IntOr("num_hidden_layers", 12, 1, 256),
                       .heads = json.IntOr("num_attention_heads", 12, 1, 256),
                       .image_size = json.IntOr("image_size", 224, 1, 4096),
                       .patch_size = json.IntOr("patch_size", 16, 1, 512),
                       .activation = ParseActivation(json, "gelu_pytorch_tanh"),
                       .epsilon = static_cast<float>(json.NumberOr("layer_norm_eps", 1e-6, 0, 1)),
                       .pooling_head = json.BoolOr("vision_use_head", true),
                       .feature = feature};
  CheckHeads(json, c.width, c.heads);
  CheckPatch(json, c.patch_size, c.image_size);
  CheckFeatureLayer(json, feature, c.layers);
  return c;
}

Dinov2Config ParseDinov2Config(const JsonObject& json, const FeatureSelection& feature,
                               int64_t pixels_height, int64_t pixels_width) {
  json.IntOr("num_channels", 3, 3, 3);
  Dinov2Config c{.width = json.IntOr("hidden_size", 768, 1, 16384),
                 .layers = json.IntOr("num_hidden_layers", 12, 1, 256),
                 .heads = json.IntOr("num_attention_heads", 12, 1, 256),
                 .patch_size = json.IntOr(
                     "patch_size",
                     json.StringOr("model_type", "") == "dinov2_with_registers" ? 16 : 14, 1, 512),
                 .trained_size = json.IntOr("image_size", 224, 1, 4096),
                 .height = pixels_height,
                 .image_width = pixels_width,
                 .swiglu = json.BoolOr("use_swiglu_ffn", false),
                 .epsilon = static_cast<float>(json.NumberOr("layer_norm_eps", 1e-6, 0, 1)),
                 .feature = feature};
  if (json.StringOr("model_type", "") == "dinov2_with_registers")
    c.registers = json.IntOr("num_register_tokens", 4, 0, 256);
  json.Choice("hidden_act", "gelu", {"gelu"});
  if (!json.BoolOr("qkv_bias", true)) json.Fail("qkv_bias", "true");
  const int64_t ff =
      static_cast<int64_t>(static_cast<double>(c.width) * json.NumberOr("mlp_ratio", 4, 0.01, 64));
  c.ff_width = c.swiglu ? 2 * ((ff * 2 / 3 + 7) / 8 * 8) : ff;
  CheckHeads(json, c.width, c.heads);
  if (c.patch_size > std::min({pixels_height, pixels_width, c.trained_size})) {
    json.Fail("patch_size",
              internal::Concat("at most image_size=", c.trained_size, " and the processor's ",
                               pixels_height, "×", pixels_width));
  }
  CheckFeatureLayer(json, feature, c.layers);
  return c;
}

}  // namespace binocle
