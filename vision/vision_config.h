// Tower shapes from the configuration of a public checkpoint.
#pragma once

#include "core/json.h"
#include "vision/clip_encoder.h"
#include "vision/dinov2_encoder.h"
#include "vision/siglip_encoder.h"

namespace binocle {

// vision_feature_layer, vision_feature_select_strategy and vision_feature_norm (docs/model_format.md).
FeatureSelection ParseFeatureSelection(const JsonObject& json);

// Keys absent from the file take the defaults of transformers' CLIPVisionConfig.
ClipConfig ParseClipConfig(const JsonObject& json, const FeatureSelection& feature);

// Keys absent from the file take the defaults of Dinov2Config, or Dinov2WithRegistersConfig by its model_type. The pixels' size is
// what the image processor makes; positions are resampled to it.
Dinov2Config ParseDinov2Config(const JsonObject& json, const FeatureSelection& feature,
                               int64_t pixels_height, int64_t pixels_width);

// Keys absent from the file take the defaults of SiglipVisionConfig. There is no class token to keep.
SiglipConfig ParseSiglipConfig(const JsonObject& json, FeatureSelection feature);

}  // namespace binocle
