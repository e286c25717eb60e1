#include "fusion/gguf_projector.h"

#include <array>
#include <utility>

namespace binocle {
namespace {

constexpr std::string_view kTower = "anchor.vision_model.";

// Names outside layers, and of a layer's parts. FFN products have their names from the rows they have (Up).
constexpr std::pair<std::string_view, std::string_view> kTowerNames[] = {
    {"v.class_embd", "embeddings.class_embedding"},
    {"v.patch_embd.", "embeddings.patch_embedding."},
    {"v.position_embd.", "embeddings.position_embedding."},
    {"v.pre_ln.", "pre_layrnorm."},
    {"v.post_ln.", "post_layernorm."},
};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attn_q.", "self_attn.q_proj."}, {"attn_k.", "self_attn.k_proj."},
    {"attn_v.", "self_attn.v_proj."}, {"attn_out.", "self_attn.out_proj."},
    {"ln1.", "layer_norm1."},         {"ln2.", "layer_norm2."},
};
constexpr std::pair<std::string_view, std::string_view> kProjectorNames[] = {
    {"mm.0.", "projector.linear_1."},
    {"mm.2.", "projector.linear_2."},
};

template <size_t N>
std::string Renamed(const std::pair<std::string_view, std::string_view> (&names)[N],
                    std::string_view name) {
  for (const auto& [theirs, ours] : names) {
    if (name.starts_with(theirs))
      return std::string(ours) + std::string(name.substr(theirs.size()));
  }
  return {};
}

// Older files call the first product ffn_down and the second ffn_up.
bool NamesFfnBackwards(const GgufFile& file) {
  const auto down = file.tensors().find("v.blk.0.ffn_down.weight");
  const auto norm = file.tensors().find("v.blk.0.ln1.weight");
  return down != file.tensors().end() && norm != file.tensors().end() && down->second.rank() == 2 &&
         down->second.dim(1) == norm->second.elements() &&
         down->second.dim(0) != norm->second.elements();
}

std::string LayerName(std::string_view part, bool backwards) {
  for (const auto& [theirs, first] : {std::pair{"ffn_up.", true}, std::pair{"ffn_down.", false}}) {
    const std::string_view prefix = theirs;
    if (part.starts_with(prefix))
      return (first != backwards ? "mlp.fc1." : "mlp.fc2.") +
             std::string(part.substr(prefix.size()));
  }
  return Renamed(kLayerNames, part);
}

std::string OurTensorName(std::string_view name, bool backwards) {
  constexpr std::string_view kBlock = "v.blk.";
  if (name.starts_with(kBlock)) {
    const std::string_view rest = name.substr(kBlock.size());
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return std::string(name);
    const std::string part = LayerName(rest.substr(dot + 1), backwards);
    if (part.empty()) return std::string(name);
    return internal::Concat(kTower, "encoder.layers.", rest.substr(0, dot), ".", part);
  }
  if (const std::string tower = Renamed(kTowerNames, name); !tower.empty())
    return std::string(kTower) + tower;
  const std::string projector = Renamed(kProjectorNames, name);
  return projector.empty() ? std::string(name) : projector;
}

[[noreturn]] void Refuse(const GgufFile& file, std::string_view key, const std::string& rest) {
  Throw(Code::kUnimplemented, file.path(), ": ", key, " is ", file.metadata().Describe(key), ", ",
        rest);
}

void RefuseOtherKinds(const GgufFile& file) {
  const GgufMetadata& m = file.metadata();
  if (m.StringOr("general.architecture", "") != "clip") {
    ThrowInvalid(file.path(), ": general.architecture is ", m.Describe("general.architecture"),
                 ", expected clip, a projector file");
  }
  if (!m.BoolOr("clip.has_vision_encoder", false))
    ThrowInvalid(file.path(), ": clip.has_vision_encoder is not true, expected a vision tower");
  for (const char* key : {"clip.projector_type", "clip.vision.projector_type"}) {
    if (m.Has(key) && m.String(key) != "mlp") Refuse(file, key, "expected mlp");
  }
  if (m.Has("clip.vision.image_grid_pinpoints"))
    Refuse(file, "clip.vision.image_grid_pinpoints", "and pictures in tiles are not supported");
  if (m.BoolOr("clip.use_silu", false))
    Refuse(file, "clip.use_silu", "expected GELU or quick GELU");
  if (m.IsArray("clip.vision.feature_layer") || m.Has("clip.vision.feature_layer"))
    Refuse(file, "clip.vision.feature_layer", "expected the tower's last layer");
}

std::array<double, 3> ThreeOf(const GgufMetadata& m, const char* key) {
  const std::vector<float> values = m.Floats(key);
  if (values.size() != 3) m.Fail(key, "three numbers");
  return {values[0], values[1], values[2]};
}

ImageProcessor SquareProcessor(const GgufMetadata& m, int64_t side) {
  ProcessorConfig processor;
  processor.pad_to_square = true;
  processor.resize = {.shortest_edge = 0, .width = side, .height = side};
  processor.rescale_factor = 1.0 / 255;
  processor.mean = ThreeOf(m, "clip.vision.image_mean");
  processor.std = ThreeOf(m, "clip.vision.image_std");
  for (const double s : processor.std) {
    if (!(s > 0)) m.Fail("clip.vision.image_std", "numbers above 0");
  }
  return ImageProcessor(processor);
}

}  // namespace

void ReadGgufProjector(const GgufFile& file, int64_t text_width, ModelConfig& config) {
  RefuseOtherKinds(file);
  const GgufMetadata& m = file.metadata();
  const bool gelu = m.BoolOr("clip.use_gelu", false);
  const FeatureSelection feature{.layer = -1,
                                 .final_norm = file.tensors().contains("v.post_ln.weight")};
  // What CLIP and SigLIP have in common.
  const auto read = [&](auto shape) {
    shape.width = m.Int("clip.vision.embedding_length", 1, 16384);
    shape.ff_width = m.Int("clip.vision.feed_forward_length", 1, 65536);
    shape.layers = m.Int("clip.vision.block_count", 1, 256);
    shape.heads = m.Int("clip.vision.attention.head_count", 1, 256);
    shape.image_size = m.Int("clip.vision.image_size", 1, kMaxProcessedSide);
    shape.patch_size = m.Int("clip.vision.patch_size", 1, 512);
    shape.epsilon = static_cast<float>(m.Number("clip.vision.attention.layer_norm_epsilon", 0, 1));
    shape.feature = feature;
    if (shape.width % shape.heads != 0 || shape.width / shape.heads > kMaxHeadDim)
      m.Fail("clip.vision.attention.head_count", "heads of at most 256 that divide the width");
    if (shape.patch_size > shape.image_size)
      m.Fail("clip.vision.patch_size", "at most clip.vision.image_size");
    return shape;
  };
  const int64_t side = m.Int("clip.vision.image_size", 1, kMaxProcessedSide);
  if (file.tensors().contains("v.class_embd")) {
    ClipConfig clip = read(ClipConfig{});
    clip.activation = gelu ? Activation::kGelu : Activation::kQuickGelu;
    config.anchor = {.shape = clip, .processor = SquareProcessor(m, side)};
  } else {
    SiglipConfig siglip = read(SiglipConfig{});
    siglip.activation = gelu ? Activation::kGeluTanh : Activation::kQuickGelu;
    config.anchor = {.shape = siglip, .processor = SquareProcessor(m, side)};
  }
  config.fusion.type = FusionType::kAnchor;
  const auto first = file.tensors().find("mm.0.weight");
  if (first == file.tensors().end() || first->second.rank() != 2)
    ThrowInvalid(file.path(), ": has no matrix mm.0.weight, the projector's first");
  const bool bias = file.tensors().contains("mm.0.bias");
  config.projector = {.hidden = first->second.dim(0),
                      .out = text_width,
                      .bias = bias ? Bias::kPresent : Bias::kAbsent};
}

void AddGgufProjectorTensors(const std::shared_ptr<const GgufFile>& file, TensorSet& set) {
  const bool backwards = NamesFfnBackwards(*file);
  for (const auto& [name, view] : file->tensors())
    set.AddMapped(OurTensorName(name, backwards), view, file, file->path());
}

}  // namespace binocle
