#include "service/engine/model_summary.h"

#include <algorithm>

#include "core/error.h"
#include "fusion/workspace_plan.h"
#include "llm/layer_share.h"

namespace binocle {
namespace {

static_assert(kKvGroupTokens == KvPool::kPageGroup * kPageTokens);

constexpr std::string_view kLanguageLayers = "language_model.model.layers.";

using Properties = std::vector<std::pair<std::string, std::string>>;

Properties TowerProperties(const TowerConfig& tower) {
  const FeatureShape features = tower.features();
  const auto common = [&](const auto& c, int64_t height, int64_t width) {
    return Properties{{"layers", std::to_string(c.layers)},
                      {"width", std::to_string(c.width)},
                      {"heads", std::to_string(c.heads)},
                      {"patch", std::to_string(c.patch_size)},
                      {"pixels", internal::Concat(height, "x", width)},
                      {"feature layer", std::to_string(c.feature.layer)},
                      {"tokens", std::to_string(features.tokens)}};
  };
  if (const auto* clip = std::get_if<ClipConfig>(&tower.shape))
    return common(*clip, clip->image_size, clip->image_size);
  if (const auto* siglip = std::get_if<SiglipConfig>(&tower.shape))
    return common(*siglip, siglip->image_size, siglip->image_size);
  const auto& dino = std::get<Dinov2Config>(tower.shape);
  Properties properties = common(dino, dino.height, dino.image_width);
  properties.emplace_back("registers", std::to_string(dino.registers));
  return properties;
}

Properties FusionProperties(const FusionConfig& fusion) {
  if (fusion.type != FusionType::kFtz) return {};
  const char* norms[] = {"post", "pre", "none"};
  return {{"width", std::to_string(fusion.width)},
          {"heads", std::to_string(fusion.heads)},
          {"norm", norms[static_cast<int>(fusion.norm)]},
          {"residual", fusion.residual == Residual::kOn ? "yes" : "no"}};
}

// Of the whole model, whatever part of it this process has.
Properties TextProperties(const LlamaConfig& c) {
  const int64_t ranks = c.share.ranks;
  Properties properties = {{"layers", std::to_string(c.layers)},
                           {"width", std::to_string(c.width)},
                           {"heads", std::to_string(ranks * c.heads)},
                           {"kv heads", std::to_string(WholeKvHeads(c))},
                           {"head width", std::to_string(c.head_dim)},
                           {"ffn width", std::to_string(ranks * c.ff_width)},
                           {"vocabulary", std::to_string(c.vocabulary)},
                           {"head", c.tied_head ? "tied" : "untied"}};
  if (ranks > 1) properties.emplace_back("rank", internal::Concat(c.share.rank, " of ", ranks));
  return properties;
}

void DescribeAttention(const ModelConfig& c, ModelInfo& info) {
  for (size_t l = 0; l < c.layers.kinds.size(); ++l) {
    if (c.layers.kinds[l] == LayerKind::kComposite)
      info.composite_layers.push_back(static_cast<int64_t>(l));
  }
  const size_t composite = info.composite_layers.size();
  info.attention = composite == 0                       ? "stock"
                   : composite == c.layers.kinds.size() ? "composite"
                                                        : "mixed";
  if (composite > 0) info.aligner = AlignerName(c.layers.aligner);
}

// Of a part's matrices, however they came to it: by options, as packed, or by what has no other.
std::string KindNames(const WeightPlan& plan) {
  std::string names;
  for (const auto& [kind, depth] : plan.deepest)
    names += (names.empty() ? "" : ", ") + std::string(WeightKindName(kind));
  return names;
}

void AddParts(const CheckedModel& model, int64_t decoder_bytes, ModelInfo& info) {
  const ModelConfig& c = model.config();
  const auto add = [&](const std::string& name, std::string type, Properties properties) {
    PartInfo part{.name = name, .type = std::move(type), .properties = std::move(properties)};
    if (const auto it = model.plan().weights.find(name); it != model.plan().weights.end()) {
      part.parameters = it->second.parameters;
      part.weight_bytes = it->second.bytes;
      part.properties.emplace_back("compute", KindNames(it->second));
    }
    if (const auto it = model.plan().activations.find(name); it != model.plan().activations.end())
      part.activation_bytes = it->second;
    if (name == "language_model") part.activation_bytes = decoder_bytes;
    info.parts.push_back(std::move(part));
  };
  if (c.anchor) add("anchor", std::string(c.anchor->type()), TowerProperties(*c.anchor));
  if (c.augment) add("augment", std::string(c.augment->type()), TowerProperties(*c.augment));
  if (c.takes_pictures())
    add("fusion", std::string(FusionTypeName(c.fusion.type)), FusionProperties(c.fusion));
  if (c.takes_pictures())
    add("projector", "mlp2x_gelu", {{"hidden width", std::to_string(c.projector.hidden)}});
  add("language_model", c.text.model_type, TextProperties(c.text));
}

// Whoever asks for blocks means those of the file, and would not notice that it has none.
void CheckHasBlocks(const CheckedModel& model, const char* option) {
  if (option == nullptr) return;
  for (const auto& [name, view] : model.tensors().tensors())
    if (IsBlockType(view.dtype())) return;
  ThrowOption(option, "asks for blocks, but ", model.directory().string(),
              " has none (GGUF's Q8_0, Q4_0, Q4_K, …), expected f32, bf16, int8 or int4");
}

}  // namespace

int64_t ContextTokens(const ModelConfig& config, const LoadOptions& options) {
  const int64_t limit = config.text.max_positions;
  return options.context_tokens > 0 ? std::min(options.context_tokens, limit) : limit;
}

int64_t PassRows(const ModelConfig& config, const LoadOptions& options) {
  const int64_t chunk = std::min(options.prefill_chunk_tokens, ContextTokens(config, options));
  return std::max(chunk, options.max_sequences);
}

int64_t BufferRows(const ModelConfig& config, const LoadOptions& options) {
  return PassRows(config, options) + options.max_sequences;
}

int64_t PoolPages(const ModelConfig& config, const LoadOptions& options) {
  const int64_t context = ContextTokens(config, options);
  if (options.kv_tokens == 0) return 2 * PagesFor(context);
  if (options.kv_tokens < context) {
    ThrowOption("kv_tokens", "is ", options.kv_tokens, ", expected at least the context of ",
                context, " tokens");
  }
  return PagesFor(options.kv_tokens);
}

ModelInfo Summarize(const CheckedModel& model, const LoadOptions& options) {
  CheckHasBlocks(model, options.asks_for_blocks);
  const ModelConfig& c = model.config();
  ModelInfo info{.name = c.name, .family = c.family, .path = model.directory().string()};
  info.device = options.cuda ? internal::Concat("cuda:", *options.cuda) : "cpu";
  info.device_note = options.device_note;
  info.vocabulary = c.text.vocabulary;
  info.context_tokens = ContextTokens(c, options);
  info.image_tokens = c.visual_tokens();
  info.image_token_id = c.image_token;
  if (c.takes_pictures()) info.fusion = FusionTypeName(c.fusion.type);
  info.conversation = c.unknown_template ? "unknown (" + c.unknown_template->name + ")"
                                         : std::string(ConversationStyleName(c.conversation));
  DescribeAttention(c, info);
  const int64_t rope =
      2 * info.context_tokens * c.text.head_dim * 4;  // by position and by frequency
  // Whichever request asks for composite layers first has them made.
  const int64_t grouped =
      !c.takes_pictures() && c.text.share.leads()
          ? 0
          : GroupedOutBytes(c.text.layers, c.text.width, c.text.heads, c.text.kv_heads,
                            c.text.head_dim, c.text.layer_kind);
  AddParts(model,
           DecoderActivations::Bytes(c.text, BufferRows(c, options), options.max_sequences,
                                     options.cuda ? Device::kCuda : Device::kCpu) +
               rope + grouped,
           info);
  for (const auto& [name, view] : model.tensors().tensors()) {
    TensorInfo tensor{.name = name, .dtype = std::string(DTypeName(view.dtype()))};
    for (int axis = 0; axis < view.rank(); ++axis) tensor.shape.push_back(view.dim(axis));
    info.tensors.push_back(std::move(tensor));
    info.file_bytes += view.bytes();
  }
  info.kv_bytes =
      KvPool::Bytes(c.text.layers, c.text.kv_heads, c.text.head_dim, PoolPages(c, options),
                    c.text.kv_dtype, options.cuda ? Device::kCuda : Device::kCpu);
  info.kv_group_bytes =
      KvPool::Bytes(c.text.layers, c.text.kv_heads, c.text.head_dim, KvPool::kPageGroup,
                    c.text.kv_dtype, options.cuda ? Device::kCuda : Device::kCpu);
  info.workspace_bytes = options.cuda
                             ? DeviceWorkspaceBytes(model, BufferRows(c, options),
                                                    options.max_sequences, info.context_tokens)
                             : WorkspaceBytes(model, BufferRows(c, options), options.threads);
  info.planned_bytes = info.kv_bytes + info.workspace_bytes;
  for (const PartInfo& part : info.parts) {
    info.planned_bytes += part.weight_bytes + part.activation_bytes;
    info.parameters += part.parameters;
  }
  // Of the mapped files: the embedding table, and weights in block types. A tied head has been counted as the head.
  for (const auto& [part, weights] : model.plan().weights)
    info.planned_bytes += weights.in_place_bytes;
  if (!c.text.tied_head && c.text.share.leads()) {
    info.parameters += c.text.vocabulary * c.text.width;
    info.parts.back().parameters += c.text.vocabulary * c.text.width;
  }
  return info;
}

ModelInfo Summarize(const CheckedModel& model, const LoadOptions& load,
                    const EngineOptions& options) {
  if (model.packed()) CheckPackedKind(*model.packed(), options);
  ModelInfo info = Summarize(model, load);
  info.compute =
      model.packed() ? *model.packed() : WeightKindName(load.overrides.kinds.Of(kLanguageLayers));
  return info;
}

}  // namespace binocle
