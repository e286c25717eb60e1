#include "fusion/convert/forms.h"

#include "core/mapped_file.h"
#include "fusion/part_files.h"
#include "llm/conversation.h"

namespace binocle {
namespace {

constexpr const char* kSelectionKeys[] = {"vision_feature_layer", "vision_feature_select_strategy",
                                          "vision_feature_norm"};

[[noreturn]] void ThrowNoWords(const ModelFiles& files, const std::string& key,
                               const std::string& found, const std::string& expected) {
  Throw(Code::kFailedPrecondition, files.config.where(), ": ", key, " is ", found, ", expected ",
        expected, ": Hugging Face has no form for it");
}

Json PreprocessorOf(const ModelFiles& files) {
  const auto path = files.directory / "preprocessor_config.json";
  return IsThere(path) ? ReadJsonFile(path) : Json();
}

void CopyKeys(const Json& from, std::initializer_list<const char*> keys, Json& to) {
  for (const char* key : keys)
    if (from.contains(key)) to[key] = from[key];
}

// What a LLaVA configuration cannot say.
void CheckHasWords(const ModelFiles& files, const ModelConfig& c) {
  if (c.fusion.type != FusionType::kAnchor)
    ThrowNoWords(files, "fusion_config: type", std::string(FusionTypeName(c.fusion.type)),
                 "anchor");
  if (c.anchor->type() == "dinov2_with_registers")
    ThrowNoWords(files, "anchor_config: model_type", std::string(c.anchor->type()),
                 "a tower without registers");
  if (files.config.Has("augment_config")) ThrowNoWords(files, "augment_config", "there", "none");
  if (c.anchor->feature().final_norm)
    ThrowNoWords(files, "anchor_config: vision_feature_norm", "true", "false");
  if (c.projector.hidden != c.text.width)
    ThrowNoWords(files, "projector_config: hidden_size", std::to_string(c.projector.hidden),
                 "the language model's " + std::to_string(c.text.width));
  if (c.image_token < 0 || c.image_token >= c.text.vocabulary)
    ThrowNoWords(files, "image_token_index", std::to_string(c.image_token),
                 "an id of the vocabulary");
  if (files.config.Has("composite_attention"))
    ThrowNoWords(files, "composite_attention", "there", "none (stock attention)");
  if (c.text.logits_scaling != 1)
    ThrowNoWords(files, "text_config: logits_scaling", internal::Concat(c.text.logits_scaling),
                 "1: LLaVA divides no logits");
}

}  // namespace

std::string AskedName(const NameMap& names, const std::string& stored) {
  for (const NameMap::Entry& entry : names.entries) {
    if (!stored.starts_with(entry.stored)) continue;
    std::string asked = entry.asked + stored.substr(entry.stored.size());
    if (names.Stored(asked) == stored) return asked;
  }
  return stored;
}

void SetDType(DType dtype, Json& config) {
  const char* name = dtype == DType::kF32   ? "float32"
                     : dtype == DType::kF16 ? "float16"
                                            : "bfloat16";
  for (auto& [key, value] : config.items()) {
    if (key == "dtype" || key == "torch_dtype") value = name;
    if (value.is_object() && key.ends_with("_config")) SetDType(dtype, value);
  }
}

namespace {

// An assembled model as a whole one: its sections as the parts' checkpoints have them.
DirectoryForm WholeForm(const ModelFiles& files, const ModelConfig& c) {
  DirectoryForm form{.model_type = "binocle",
                     .config = files.config.json(),
                     .preprocessor = PreprocessorOf(files),
                     .processor = {},
                     .names = {},
                     .notes = {}};
  for (const ModelPart& part : c.parts) {
    const std::string role = part.prefix.substr(0, part.prefix.size() - 1);
    const std::string section = role == "language_model" ? "text_config" : role + "_config";
    const PartConfig resolved = PartConfig::Read(files.directory, files.config, section);
    if (resolved.gguf()) {
      Throw(Code::kUnimplemented, files.config.where(), ": ", section,
            ": path: ", part.path.string(), " is a GGUF file, expected a directory");
    }
    form.config[section] = resolved.json().json();
    if (section != "text_config" && !form.preprocessor.contains(role))
      form.preprocessor[role] = ReadJsonFile(part.path / "preprocessor_config.json");
  }
  // Those of the parts count as well; the tokenizer's comes with it.
  if (!c.end_tokens.empty()) form.config["eos_token_id"] = c.end_tokens;
  return form;
}

void RefuseDroppedPatch(const ModelFiles& files, const ModelConfig& c) {
  if (!c.anchor->feature().drop_first_patch) return;
  Throw(Code::kUnimplemented, files.config.where(),
        ": vision_feature_select_strategy drops the first patch of ", c.anchor->type(),
        ", which has no class token; a Binocle directory has no form for it");
}

// Of families with one tower and a two-layer projector.
BinocleForm OneTowerForm(const ModelFiles& files, const ModelConfig& c, Json tower,
                         Json processor) {
  RefuseDroppedPatch(files, c);
  const Json& config = files.config.json();
  Json out = {{"model_type", "binocle"},
              {"format_version", 1},
              {"name", c.name},
              {"image_token_index", c.image_token},
              {"conversation", ConversationStyleName(c.conversation)},
              {"anchor_config", std::move(tower)},
              {"fusion_config", {{"type", "anchor"}}},
              {"projector_config", {{"type", "mlp2x_gelu"}}},
              {"text_config", config["text_config"]}};
  if (c.projector.bias == Bias::kAbsent) out["projector_config"]["bias"] = false;
  CopyKeys(config, {"eos_token_id", "composite_attention", "dtype", "torch_dtype"}, out);
  return {.config = std::move(out), .processors = {{"anchor", std::move(processor)}}};
}

}  // namespace

DirectoryForm SameForm(const ModelFiles& files, const ModelConfig& c, const NameMap& names) {
  if (!c.parts.empty()) return WholeForm(files, c);
  return {.model_type = files.config.String("model_type"),
          .config = files.config.json(),
          .preprocessor = PreprocessorOf(files),
          .processor = {},
          .names = names,
          .notes = {}};
}

BinocleForm LlavaAsBinocle(const ModelFiles& files, const ModelConfig& c) {
  BinocleForm form =
      OneTowerForm(files, c, TowerWithSelection(files.config), PreprocessorOf(files));
  // LLaVA ignores it, a Binocle directory does not.
  form.config["text_config"].erase("logits_scaling");
  return form;
}

BinocleForm TinyLlavaAsBinocle(const ModelFiles& files, const ModelConfig& c) {
  return OneTowerForm(files, c, TinyLlavaTower(files.config), TinyLlavaProcessor(files));
}

DirectoryForm ToBinocleForm(const ModelFiles& files, const ModelConfig& config,
                            const NameMap& names) {
  if (config.family == "binocle") return SameForm(files, config, names);
  const auto render = FindFamily(files.config).as_binocle;
  if (render == nullptr) {
    Throw(Code::kUnimplemented, files.config.where(), ": model_type is ", config.family,
          ", expected llava or tinyllava: a Binocle directory has towers, and sees a picture once");
  }
  if (const auto& unknown = config.unknown_template) {
    Throw(Code::kFailedPrecondition, unknown->what, "; expected --conversation with one of ",
          ConversationStyleNames(), ", for the new config.json");
  }
  BinocleForm form = render(files, config);
  return {.model_type = "binocle",
          .config = std::move(form.config),
          .preprocessor = std::move(form.processors),
          .processor = {},
          .names = {},
          .notes = {}};
}

DirectoryForm ToHuggingFaceForm(const ModelFiles& files, const ModelConfig& c,
                                const NameMap& names) {
  if (c.family != "binocle") return SameForm(files, c, names);
  CheckHasWords(files, c);
  if (!c.parts.empty()) {
    Throw(Code::kFailedPrecondition, files.config.where(),
          ": names parts by paths, expected a whole directory: convert it to binocle first");
  }
  Json tower = files.config.json()["anchor_config"];
  Json out = {{"architectures", {"LlavaForConditionalGeneration"}},
              {"model_type", "llava"},
              {"image_token_index", c.image_token},
              {"projector_hidden_act", "gelu"},
              {"multimodal_projector_bias", c.projector.bias == Bias::kPresent},
              {"vision_feature_layer", -2},
              {"vision_feature_select_strategy", "default"},
              {"tie_word_embeddings", c.text.tied_head},
              {"text_config", files.config.json()["text_config"]}};
  for (const char* key : kSelectionKeys) {
    if (tower.contains(key) && out.contains(key) && !tower[key].is_null()) out[key] = tower[key];
    tower.erase(key);
  }
  // There "default" drops the first token whatever it is.
  if (!c.anchor->has_class_token()) out["vision_feature_select_strategy"] = "full";
  out["vision_config"] = std::move(tower);
  if (!out["text_config"].contains("model_type")) out["text_config"]["model_type"] = "llama";
  CopyKeys(files.config.json(), {"eos_token_id", "dtype", "torch_dtype"}, out);
  const auto processors = ReadJsonFile(files.directory / "preprocessor_config.json");
  DirectoryForm form{
      .model_type = "llava",
      .config = std::move(out),
      .preprocessor = processors["anchor"],
      .processor = {{"processor_class", "LlavaProcessor"},
                    {"image_token", kImageMark},
                    {"num_additional_image_tokens", c.anchor->has_class_token() ? 1 : 0},
                    {"patch_size", c.anchor->patch_size()}},
      .names = {{{"anchor.", "vision_tower."}, {"projector.", "multi_modal_projector."}}},
      .notes = {}};
  form.processor["vision_feature_select_strategy"] = form.config["vision_feature_select_strategy"];
  if (c.conversation != ConversationStyle::kVicunaV1) {
    form.notes.push_back(internal::Concat(
        "conversation ", ConversationStyleName(c.conversation),
        " is not in the new directory: prompts there follow the tokenizer's chat template, or "
        "vicuna_v1 in Binocle"));
  }
  return form;
}

}  // namespace binocle
