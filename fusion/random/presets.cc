#include "fusion/random/presets.h"

#include "core/error.h"

namespace binocle {
namespace {

// config.json of a text model. Sources: the files of the models' authors.
struct TextShape {
  const char* type;
  int64_t width, ff_width, layers, heads, kv_heads, vocabulary, positions;
  double theta, epsilon;
  bool tied = false;
};

constexpr TextShape kVicuna7b{"llama", 4096, 11008, 32, 32, 32, 32000, 4096, 1e4, 1e-5};
constexpr TextShape kVicuna13b{"llama", 5120, 13824, 40, 40, 40, 32000, 4096, 1e4, 1e-5};
constexpr TextShape kTinyLlama{"llama", 2048, 5632, 22, 32, 4, 32000, 2048, 1e4, 1e-5};
constexpr TextShape kMistral7b{"mistral", 4096, 14336, 32, 32, 8, 32000, 32768, 1e4, 1e-5};
constexpr TextShape kQwen05b{"qwen2", 896, 4864, 24, 14, 2, 151936, 32768, 1e6, 1e-6, true};
constexpr TextShape kQwen7b{"qwen2", 3584, 18944, 28, 28, 4, 152064, 32768, 1e6, 1e-6};
constexpr TextShape kQwen306b{"qwen3", 1024, 3072, 28, 16, 8, 151936, 40960, 1e6, 1e-6, true};
constexpr TextShape kSmol135m{"llama", 576, 1536, 30, 9, 3, 49152, 8192, 1e5, 1e-5, true};
constexpr TextShape kSmall{"llama", 1024, 2816, 8, 16, 4, 512, 2048, 1e4, 1e-5};
constexpr TextShape kTiny{"llama", 64, 160, 4, 4, 2, 512, 1024, 1e4, 1e-5};

Json TextConfig(const TextShape& s) {
  return {{"model_type", s.type},
          {"hidden_size", s.width},
          {"intermediate_size", s.ff_width},
          {"num_hidden_layers", s.layers},
          {"num_attention_heads", s.heads},
          {"num_key_value_heads", s.kv_heads},
          {"vocab_size", s.vocabulary},
          {"max_position_embeddings", s.positions},
          {"rope_theta", s.theta},
          {"rms_norm_eps", s.epsilon},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", s.tied}};
}

// A text model with pictures: LLaVA's conversion appends <image> and <pad> and rounds the vocabulary up to a multiple of 64.
TextShape WithImageToken(TextShape s) {
  s.vocabulary += 64;
  return s;
}

Json ClipTower(int64_t width, int64_t ff_width, int64_t layers, int64_t heads, int64_t size) {
  return {{"model_type", "clip_vision_model"},
          {"hidden_size", width},
          {"intermediate_size", ff_width},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"image_size", size},
          {"patch_size", 14},
          {"hidden_act", "quick_gelu"},
          {"layer_norm_eps", 1e-5},
          {"projection_dim", width}};
}

Json DinoTower(int64_t width, int64_t layers, int64_t heads, int64_t size) {
  return {{"model_type", "dinov2"},
          {"hidden_size", width},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"image_size", size},
          {"patch_size", 14},
          {"mlp_ratio", 4},
          {"hidden_act", "gelu"},
          {"layer_norm_eps", 1e-6}};
}

Json Processor(const char* type, int64_t size, std::vector<double> mean,
               std::vector<double> deviation) {
  return {{"image_processor_type", type},
          {"do_resize", true},
          {"size", {{"shortest_edge", size}}},
          {"resample", 3},
          {"do_center_crop", true},
          {"crop_size", {{"height", size}, {"width", size}}},
          {"do_rescale", true},
          {"rescale_factor", 1 / 255.0},
          {"do_normalize", true},
          {"image_mean", std::move(mean)},
          {"image_std", std::move(deviation)},
          {"do_convert_rgb", true}};
}

Json ClipProcessor(int64_t size) {
  return Processor("CLIPImageProcessor", size, {0.48145466, 0.4578275, 0.40821073},
                   {0.26862954, 0.26130258, 0.27577711});
}

Json DinoProcessor(int64_t size) {
  return Processor("BitImageProcessor", size, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225});
}

SpecialTokens LlamaTokens() {
  return {.tokens = {{0, "<unk>"}, {1, "<s>"}, {2, "</s>"}}, .bos = 1, .eos = 2};
}

SpecialTokens LlamaTokensWithImage(int64_t image) {
  SpecialTokens special = LlamaTokens();
  special.tokens[image] = "<image>";
  special.tokens[image + 1] = "<pad>";
  special.pad = image + 1;
  return special;
}

// <|endoftext|>, <|im_start|>, <|im_end|> from `first` on.
SpecialTokens ChatTokens(int64_t first, int64_t eos) {
  return {
      .tokens = {{first, "<|endoftext|>"}, {first + 1, "<|im_start|>"}, {first + 2, "<|im_end|>"}},
      .eos = eos,
      .pad = first};
}

ModelPreset Text(const char* name, const char* about, const TextShape& shape,
                 const char* architecture, SpecialTokens special) {
  ModelPreset preset{.name = name,
                     .about = about,
                     .config = TextConfig(shape),
                     .processors = {},
                     .special = std::move(special)};
  preset.config["architectures"] = {architecture};
  return preset;
}

ModelPreset Llava(const char* name, const char* about, Json tower, const TextShape& shape,
                  int64_t image) {
  const int64_t size = tower["image_size"].get<int64_t>();
  Json config = {{"model_type", "llava"},
                 {"architectures", {"LlavaForConditionalGeneration"}},
                 {"image_token_index", image},
                 {"projector_hidden_act", "gelu"},
                 {"vision_feature_layer", -2},
                 {"vision_feature_select_strategy", "default"},
                 {"tie_word_embeddings", shape.tied},
                 {"vision_config", std::move(tower)},
                 {"text_config", TextConfig(shape)}};
  return {.name = name,
          .about = about,
          .config = std::move(config),
          .processors = ClipProcessor(size),
          .special = LlamaTokensWithImage(image)};
}

ModelPreset TwoTowers(const char* name, const char* about, Json clip, Json dino, int64_t heads,
                      const TextShape& shape, int64_t image) {
  const int64_t size = clip["image_size"].get<int64_t>();
  const int64_t width = clip["hidden_size"].get<int64_t>();
  clip["vision_feature_layer"] = -2;
  dino["vision_feature_layer"] = -1;
  dino["vision_feature_norm"] = true;
  Json config = {
      {"model_type", "binocle"},
      {"format_version", 1},
      {"name", name},
      {"image_token_index", image},
      {"conversation", "vicuna_v1"},
      {"anchor_config", std::move(clip)},
      {"augment_config", std::move(dino)},
      {"fusion_config",
       {{"type", "ftz"}, {"hidden_size", width}, {"num_attention_heads", heads}, {"norm", "post"}}},
      {"projector_config", {{"type", "mlp2x_gelu"}}},
      {"text_config", TextConfig(shape)},
      {"composite_attention", {{"layers", "all"}, {"aligner", "vo"}}}};
  return {.name = name,
          .about = about,
          .config = std::move(config),
          .processors = {{"anchor", ClipProcessor(size)}, {"augment", DinoProcessor(size)}},
          .special = LlamaTokensWithImage(image)};
}

ModelPreset Mistral() {
  ModelPreset preset = Text("mistral-7b", "Mistral-7B v0.1, 7.2 B parameters", kMistral7b,
                            "MistralForCausalLM", LlamaTokens());
  preset.config["sliding_window"] = 4096;
  return preset;
}

ModelPreset Qwen3() {
  ModelPreset preset = Text("qwen3-0.6b", "Qwen3-0.6B, 0.6 B parameters, tied head", kQwen306b,
                            "Qwen3ForCausalLM", ChatTokens(151643, 151645));
  preset.config["head_dim"] = 128;
  return preset;
}

}  // namespace

std::vector<ModelPreset> ModelPresets() {
  const Json clip_large = ClipTower(1024, 4096, 24, 16, 336);
  const Json dino_large = DinoTower(1024, 24, 16, 518);
  return {
      Llava("llava-1.5-7b", "CLIP-L/14-336 and Vicuna-7B, 7.1 B parameters", clip_large,
            WithImageToken(kVicuna7b), 32000),
      Llava("llava-1.5-13b", "CLIP-L/14-336 and Vicuna-13B, 13.4 B parameters", clip_large,
            WithImageToken(kVicuna13b), 32000),
      Llava("tinyllava-1.1b", "CLIP-L/14-336 and TinyLlama-1.1B, 1.4 B parameters", clip_large,
            WithImageToken(kTinyLlama), 32000),
      TwoTowers(
          "binocle-7b",
          "CLIP-L/14-336, DINOv2-L/14, FtZ and Vicuna-7B, composite attention, 7.4 B parameters",
          clip_large, dino_large, 16, WithImageToken(kVicuna7b), 32000),
      Text("vicuna-7b", "Vicuna-7B v1.5 (LLaMA 2), 6.7 B parameters", kVicuna7b, "LlamaForCausalLM",
           LlamaTokens()),
      Text("tinyllama-1.1b", "TinyLlama-1.1B, 1.1 B parameters", kTinyLlama, "LlamaForCausalLM",
           LlamaTokens()),
      Mistral(),
      Text("qwen2.5-0.5b", "Qwen2.5-0.5B, 0.5 B parameters, tied head", kQwen05b,
           "Qwen2ForCausalLM", ChatTokens(151643, 151645)),
      Text("qwen2.5-7b", "Qwen2.5-7B, 7.6 B parameters", kQwen7b, "Qwen2ForCausalLM",
           ChatTokens(151643, 151645)),
      Qwen3(),
      Text("smollm2-135m", "SmolLM2-135M, 0.1 B parameters, tied head", kSmol135m,
           "LlamaForCausalLM", ChatTokens(0, 2)),
      Llava("small-llava", "for tests: a CLIP tower and eight layers of LLaMA, 0.1 B parameters",
            ClipTower(512, 2048, 6, 8, 224), kSmall, 3),
      Llava("tiny-llava", "for tests: a small CLIP tower and four layers of LLaMA",
            ClipTower(64, 128, 3, 4, 56), kTiny, 3),
      TwoTowers("tiny-binocle", "for tests: two small towers, FtZ and four layers of LLaMA",
                ClipTower(64, 128, 3, 4, 56), DinoTower(32, 2, 2, 56), 4, kTiny, 3),
      Text("tiny-llama", "for tests: four layers of LLaMA", kTiny, "LlamaForCausalLM",
           LlamaTokens()),
  };
}

ModelPreset FindPreset(std::string_view name) {
  std::string known;
  for (ModelPreset& preset : ModelPresets()) {
    if (preset.name == name) return std::move(preset);
    known += (known.empty() ? "" : ", ") + preset.name;
  }
  ThrowOption("preset", "is ", Printable(name, 60), ", expected one of ", known);
}

}  // namespace binocle
