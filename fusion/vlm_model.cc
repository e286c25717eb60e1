#include "fusion/vlm_model.h"

#include <algorithm>
#include <chrono>

#include "core/ops/elementwise.h"
#include "core/weight_files.h"
#include "fusion/families.h"
#include "fusion/part_files.h"
#include "fusion/tiles.h"
#include "llm/layer_share.h"
#include "llm/tokenizer.h"
#include "llm/tokenizer_gguf.h"
#include "vision/tower.h"

namespace binocle {
namespace {

// Milliseconds since the last call.
class Stopwatch {
 public:
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> passed = now - last_;
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::unique_ptr<VisionEncoder> BindTower(const std::optional<TowerConfig>& config,
                                         std::string_view prefix, WeightBinder& binder) {
  if (!config) {
    binder.IgnoreUnder(prefix);
    return nullptr;
  }
  const auto bind = [](const auto& bind_weights, const auto& make, const auto& shape,
                       const WeightBinder& tower) -> std::unique_ptr<VisionEncoder> {
    auto weights = bind_weights(shape, tower);
    return tower.checking() ? nullptr : make(shape, std::move(weights));
  };
  const WeightBinder tower = binder.Under(prefix);
  if (const auto* clip = std::get_if<ClipConfig>(&config->shape))
    return bind(BindClip, MakeClipEncoder, *clip, tower);
  if (const auto* siglip = std::get_if<SiglipConfig>(&config->shape))
    return bind(BindSiglip, MakeSiglipEncoder, *siglip, tower);
  return bind(BindDinov2, MakeDinov2Encoder, std::get<Dinov2Config>(config->shape), tower);
}

FeatureShape FeaturesOf(const std::optional<TowerConfig>& config) {
  return config ? config->features() : FeatureShape{};
}

VlmModel::Parts BindParts(const ModelConfig& config, WeightBinder& b) {
  VlmModel::Parts parts;
  if (!config.text.share.leads()) {
    for (const char* of_rank_zero :
         {"anchor.", "augment.", "fusion.", "projector.", "image_newline"})
      b.IgnoreUnder(of_rank_zero);
    parts.text = BindLlama(config.text, b.Under("language_model."));
    return parts;
  }
  if (config.takes_pictures()) {
    parts.anchor = BindTower(config.anchor, "anchor.", b);
    parts.augment = BindTower(config.augment, "augment.", b);
    parts.fusion = BindFusion(config.fusion, config.projector, FeaturesOf(config.anchor),
                              FeaturesOf(config.augment), b);
  }
  if (config.fusion_overridden)
    b.IgnoreUnder("fusion.");  // what the file's own fusion would have used
  if (config.tiling)
    parts.newline = b.F32("image_newline", {config.text.width}, "text_config: hidden_size");
  parts.text = BindLlama(config.text, b.Under("language_model."));
  return parts;
}

// What Encode and Project take for the picture of the most views.
int64_t TileBytes(const ModelConfig& c) {
  if (!c.tiling) return 0;
  const FeatureShape view = c.anchor->features();
  const int64_t rows = (c.tiling->max_tiles() + 1) * view.tokens;
  return rows * (view.width + c.text.width) * 4;
}

TensorView ViewsFrom(const Tensor& pixels, int64_t first, int64_t count) {
  return pixels.view().Rows(3 * first, 3 * (first + count));
}

TensorView ViewOf(const Tensor& pixels, int64_t view) { return ViewsFrom(pixels, view, 1); }

// Views of a picture that go through the tower together, so that its weights are read once for all. Beyond four, some two thousand rows of
// the usual towers, reading them is nothing beside multiplying.
constexpr int64_t kMostImages = 4;
// Their buffers may take a twentieth of what the model's weights take, half of what a memory plan may be off by, or so much that nobody minds.
constexpr int64_t kWeightsPerBuffers = 20;
constexpr int64_t kSmallBuffers = int64_t{32} << 20;

// What the towers hand over, and the fusion: of the views of one pass, and of one.
int64_t FeatureBytes(const ModelConfig& c) {
  int64_t floats = 0;
  int64_t fused = 0;
  for (const auto* tower : {&c.anchor, &c.augment}) {
    if (!*tower) continue;
    const FeatureShape features = (*tower)->features();
    const int64_t images =
        std::visit([](const auto& shape) { return shape.images; }, (*tower)->shape);
    floats += images * features.tokens * features.width;
    fused += features.tokens * std::max(features.width, c.text.width);
  }
  return (floats + fused) * 4;
}

int64_t TowerBytes(const TowerConfig& tower) {
  return std::visit([](const auto& shape) { return TowerActivations::Bytes(shape.tower_shape()); },
                    tower.shape);
}

NameMap NamesOf(const std::filesystem::path& directory, const TensorSet& tensors) {
  const Json json = ReadJsonFile(directory / "config.json");
  return FindFamily(JsonObject(json, (directory / "config.json").string())).names(tensors);
}

// The directory's own or, where it has none, that of the checkpoint its language model comes from.
std::unique_ptr<Tokenizer> TokenizerOf(const std::filesystem::path& directory,
                                       const ModelConfig& config) {
  const std::filesystem::path* text = config.text_path();
  if (text == nullptr || HasTokenizer(directory)) return LoadTokenizer(directory);
  if (text->extension() != ".gguf") return LoadTokenizer(*text);
  const GgufFile file(*text);
  return MakeGgufTokenizer(file.metadata(), text->string());
}

// CheckedModel::packed.
std::optional<std::string> PackedKind(const TensorSet& tensors) {
  std::optional<std::string> packed;
  for (const auto& [name, view] : tensors.tensors()) {
    const auto kind = KindOfPackedName(name);
    if (!kind) continue;
    if (!packed) packed = "f32";
    if (name.find("language_model.model.layers.") != std::string::npos)
      packed = WeightKindName(*kind);
  }
  return packed;
}

}  // namespace

CheckedModel::CheckedModel(const std::filesystem::path& path, const ModelOverrides& overrides,
                           MissingTokenizer missing)
    : directory_(path), kinds_(overrides.kinds) {
  if (path.extension() == ".gguf") {
    GgufModel model = ReadGgufModel(path, overrides);
    config_ = std::move(model.config);
    tensors_ = std::move(model.tensors);
    tokenizer_ = std::move(model.tokenizer);
  } else {
    config_ = ReadModelConfig(path, overrides);
    tensors_ = ReadTensors(path);
    for (const ModelPart& part : config_.parts) AddPartTensors(part.path, part.prefix, tensors_);
    names_ = NamesOf(path, tensors_);
    if (missing == MissingTokenizer::kRefused || HasTokenizer(path) || config_.text_path())
      tokenizer_ = TokenizerOf(path, config_);
  }
  config_.text = ShareOfLayers(config_.text, overrides.share, directory_.string());
  if (!overrides.share.leads()) {
    config_.anchor.reset();
    config_.augment.reset();
    config_.tiling.reset();
  }
  Check();
}

void CheckedModel::ChooseKvTypes() {
  const auto kind_of = [&](const std::string& prefix) {
    for (const auto& [name, view] : tensors_.tensors()) {
      if (const auto kind = KindOfPackedName(name); kind && IsPackedUnder(name, prefix))
        return *kind;
    }
    return kinds_.Of(prefix);
  };
  config_.text.layer_kind = kind_of("language_model.model.layers.");
  config_.text.kv_dtype = KvDType(config_.text.layer_kind);
  config_.fusion.kv_dtype = KvDType(kind_of("fusion."));
  for (auto* tower : {&config_.anchor, &config_.augment}) {
    if (!*tower) continue;
    const DType dtype = KvDType(kind_of(tower == &config_.anchor ? "anchor." : "augment."));
    std::visit([&](auto& shape) { shape.kv_dtype = dtype; }, (*tower)->shape);
  }
}

void CheckedModel::ChooseBatch() {
  if (!config_.tiling) return;
  int64_t weights = 0;
  for (const auto& [part, plan] : plan_.weights) weights += plan.bytes + plan.in_place_bytes;
  const int64_t room = std::max(weights / kWeightsPerBuffers, kSmallBuffers);
  const int64_t fitting = std::max<int64_t>(room / TowerBytes(*config_.anchor), 1);
  const int64_t images = std::min({kMostImages, config_.tiling->max_tiles() + 1, fitting});
  std::visit([&](auto& shape) { shape.images = images; }, config_.anchor->shape);
}

void CheckedModel::Check() {
  packed_ = PackedKind(tensors_);
  ChooseKvTypes();
  plan_.weights = CheckWeights(tensors_, names_, kinds_, directory_.string(),
                               [&](WeightBinder& b) { BindParts(config_, b); });
  ChooseBatch();
  if (config_.anchor) plan_.activations["anchor"] = TowerBytes(*config_.anchor);
  if (config_.augment) plan_.activations["augment"] = TowerBytes(*config_.augment);
  if (config_.takes_pictures())
    plan_.activations["fusion"] =
        FusionActivationBytes(config_.fusion, config_.projector, FeaturesOf(config_.anchor),
                              FeaturesOf(config_.augment)) +
        FeatureBytes(config_) + TileBytes(config_);
  if (tokenizer_ == nullptr) return;
  if (tokenizer_->vocabulary_size() > config_.text.vocabulary) {
    ThrowInvalid(directory_.string(), ": the tokenizer has ", tokenizer_->vocabulary_size(),
                 " ids, expected at most ", config_.text.vocabulary,
                 " (the rows of the embedding table)");
  }
  if (tokenizer_->eos_id() >= 0) config_.end_tokens.push_back(tokenizer_->eos_id());
  // The end of a turn, where it is a token: as such it has no text that a stop string could match.
  for (const std::string& stop : ConversationStops(config_.conversation)) {
    const int32_t id = tokenizer_->IdOf(stop);
    if (id >= 0 && tokenizer_->IsSpecial(id)) config_.end_tokens.push_back(id);
  }
}

ModelMatrices ListModelMatrices(const CheckedModel& model) {
  return ListMatrices(model.tensors_, model.names_, model.kinds_,
                      [&](WeightBinder& b) { BindParts(model.config_, b); });
}

std::vector<NeededWeight> ListModelWeights(ModelConfig config, const NameMap& names) {
  for (auto* tower : {&config.anchor, &config.augment}) {
    if (!*tower) continue;
    std::visit(
        [](auto& shape) {
          shape.feature.layer = -1;
          shape.feature.final_norm = true;
        },
        (*tower)->shape);
  }
  return ListWeights(names, [&](WeightBinder& b) { BindParts(config, b); });
}

VlmModel::VlmModel(Exec& ex, CheckedModel checked, int64_t max_positions)
    : checked_(std::move(checked)) {
  const ModelConfig& c = config();
  LoadWeights(ex, checked_.tensors_, checked_.names_, checked_.kinds_,
              [&](WeightBinder& b) { parts_ = BindParts(c, b); });
  decoder_ = std::make_unique<LlamaDecoder>(ex, c.text, std::move(parts_.text), c.layers,
                                            std::min(max_positions, c.text.max_positions));
  decoder_->PrepareAligner(ex);
  if (parts_.anchor)
    anchor_features_ = Tensor::CommittedF32(
        {parts_.anchor->most_images() * parts_.anchor->tokens(), parts_.anchor->width()}, "anchor",
        ex.place());
  if (parts_.augment)
    augment_features_ = Tensor::CommittedF32({parts_.augment->tokens(), parts_.augment->width()},
                                             "augment", ex.place());
  if (parts_.fusion)
    fused_ = Tensor::CommittedF32({parts_.fusion->tokens(), parts_.fusion->fused_width()}, "fused",
                                  ex.place());
}

bool VlmModel::IsEndToken(int32_t id) const {
  const auto& ends = config().end_tokens;
  return std::find(ends.begin(), ends.end(), id) != ends.end();
}

PatchPlaces VlmModel::patch_places() const {
  const ModelConfig& c = config();
  return PlacesOfPatches(c.fusion.type, FeaturesOf(c.anchor ? c.anchor : c.augment));
}

std::vector<Image> VlmModel::AnchorViews(const Image& image, const PicturePlan& plan) const {
  const ImageProcessor& processor = config().anchor->processor;
  if (plan.tiles) return ViewsOf(image, *plan.tiles, processor);
  return {processor.Geometry(image)};
}

ModelPixels VlmModel::Pixels(const Image& image, Company company) const {
  ModelPixels pixels{.plan = config().PlanPicture(image.width, image.height, company)};
  if (parts_.anchor) {
    const std::vector<Image> views = AnchorViews(image, pixels.plan);
    const int64_t height = views[0].height, width = views[0].width;
    pixels.anchor = Tensor::F32({3 * std::ssize(views), height, width}, "pixels");
    for (int64_t v = 0; v < std::ssize(views); ++v) {
      config().anchor->processor.Normalize(views[static_cast<size_t>(v)], ViewOf(pixels.anchor, v));
    }
  }
  if (parts_.augment) pixels.augment = config().augment->processor.Pixels(image);
  return pixels;
}

Tensor VlmModel::ClassToken(Exec& ex, const ModelPixels& pixels, ClassOutput output) {
  Tensor token = Tensor::F32({1, leading_tower().width()}, "class_token", ex.place());
  if (parts_.anchor) {
    parts_.anchor->EncodeWhole(ex, ViewOf(pixels.anchor, 0), output, token);
  } else {
    parts_.augment->EncodeWhole(ex, pixels.augment, output, token);
  }
  return token;
}

void VlmModel::Encode(Exec& ex, const ModelPixels& pixels, const TensorView& visual,
                      const EncodeTaps& taps) {
  BINOCLE_CHECK(parts_.fusion != nullptr, "a text model takes no pictures");
  VisionEncoder& leading = parts_.anchor ? *parts_.anchor : *parts_.augment;
  AttentionTap tap = PatchAttentionTap(leading.layers(), leading.layers_run());
  const auto tap_of = [&](const VisionEncoder* tower) {
    return taps.attention != nullptr && tower == &leading ? &tap : nullptr;
  };
  VisionTimings timings;
  Stopwatch watch;
  const int64_t views = pixels.plan.views(), n = parts_.fusion->tokens();
  Tensor of_views;  // where there are several
  if (views > 1)
    of_views = Tensor::F32({views * n, parts_.fusion->fused_width()}, "fused", ex.place());
  const TensorView fused = views > 1 ? of_views.view() : fused_.view();
  if (parts_.augment)  // B [n_b, d_b]
    parts_.augment->Encode(ex, pixels.augment, augment_features_, tap_of(parts_.augment.get()));
  timings.augment = watch.Lap();
  const int64_t rows = parts_.anchor ? parts_.anchor->tokens() : 0;  // n_a
  const int64_t together = parts_.anchor ? parts_.anchor->most_images() : 1;
  if (taps.stages != nullptr && parts_.anchor)
    taps.stages->anchor = Tensor::F32({views * rows, anchor_features_.dim(1)}, "anchor");
  for (int64_t first = 0; first < views; first += together) {
    const int64_t count = std::min(together, views - first);
    TensorView anchor;
    if (parts_.anchor) {  // A [n_a, d_a] of each
      anchor = anchor_features_.view().Rows(0, count * rows);
      parts_.anchor->Encode(ex, ViewsFrom(pixels.anchor, first, count), anchor,
                            first == 0 ? tap_of(parts_.anchor.get()) : nullptr);
      if (taps.stages != nullptr)
        CopyRows(ex, anchor, taps.stages->anchor.view().Rows(first * rows, (first + count) * rows));
    }
    timings.anchor += watch.Lap();
    for (int64_t i = 0; i < count; ++i) {
      const TensorView of_view = parts_.anchor ? anchor.Rows(i * rows, (i + 1) * rows) : anchor;
      parts_.fusion->Fuse(ex, of_view, augment_features_,
                          fused.Rows((first + i) * n, (first + i + 1) * n));
    }
    timings.fusion += watch.Lap();
  }
  Project(ex, fused, pixels.plan, visual);  // V [plan.tokens, D]
  timings.fusion += watch.Lap();
  if (taps.timings != nullptr) *taps.timings = timings;
  if (taps.attention != nullptr) *taps.attention = ReadPatchAttention(tap);
  if (taps.stages == nullptr) return;
  taps.stages->augment = ToHost(ex, augment_features_);
  taps.stages->fused = Tensor::F32({fused.dim(0), fused.dim(1)}, "fused");
  CopyRows(ex, fused, taps.stages->fused);
}

void VlmModel::Fuse(Exec& ex, const VisionStages& stages) {
  const int64_t n = parts_.fusion->tokens();
  const int64_t views = stages.fused.dim(0) / n;
  Tensor anchor_copy, augment_copy;
  const TensorView anchors = AtPlace(ex, stages.anchor, anchor_copy);
  const TensorView augment = AtPlace(ex, stages.augment, augment_copy);
  for (int64_t v = 0; v < views; ++v) {
    const TensorView anchor = views > 1 ? anchors.Rows(v * n, (v + 1) * n) : anchors;
    parts_.fusion->Fuse(ex, anchor, augment, fused_);
    CopyRows(ex, fused_, stages.fused.view().Rows(v * n, (v + 1) * n));
  }
}

void VlmModel::Project(Exec& ex, const TensorView& fused, const PicturePlan& plan,
                       const TensorView& visual) {
  if (ex.place().cuda != nullptr && !visual.on_cuda()) {
    Tensor fused_copy;
    const Tensor placed = Tensor::F32(visual.shape(), visual.name(), ex.place());
    Project(ex, AtPlace(ex, fused, fused_copy), plan, placed);
    return CopyRows(ex, placed, visual);
  }
  const int64_t n = parts_.fusion->tokens(), width = visual.dim(1);
  parts_.fusion->Project(ex, fused.Rows(0, n), visual.Rows(0, n));
  if (!plan.tiles) return;
  const TensorView rest = visual.Rows(n, plan.tokens);
  if (plan.tiles->tiles() == 0) {
    return CopyRows(ex, parts_.newline.view().Reshape({1, width}), rest);
  }
  Tensor tiles = Tensor::F32({plan.tiles->tiles() * n, width}, "tiles", ex.place());
  for (int64_t t = 0; t < plan.tiles->tiles(); ++t) {
    parts_.fusion->Project(ex, fused.Rows((t + 1) * n, (t + 2) * n),
                           tiles.view().Rows(t * n, (t + 1) * n));
  }
  ArrangeTiles(ex, *plan.tiles, tiles, parts_.newline, rest);
}

}  // namespace binocle
