#include "fusion/model_config.h"

#include "core/mapped_file.h"
#include "fusion/chat_template_files.h"
#include "fusion/families.h"

namespace binocle {
namespace {

// end-of-sequence ids: a number or a list.
void AddEndTokens(const JsonObject& json, const ModelConfig& config, std::vector<int32_t>& ends) {
  if (!json.Has("eos_token_id")) return;
  const Json& value = json.json()["eos_token_id"];
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& item : list) {
    if (!item.is_number_integer() || item.get<int64_t>() < 0 ||
        item.get<int64_t>() >= config.text.vocabulary) {
      json.Fail("eos_token_id", "ids from 0 to " + std::to_string(config.text.vocabulary - 1));
    }
    ends.push_back(item.get<int32_t>());
  }
}

void AddEndTokensOf(const std::filesystem::path& path, ModelConfig& config) {
  if (!IsThere(path)) return;
  const Json json = ReadJsonFile(path);
  AddEndTokens(JsonObject(json, path.string()), config, config.end_tokens);
}

// What the checkpoint says itself, where it is one of transformers': a Binocle directory names its conversation, and TinyLLaVA's program
// never asks the tokenizer of its language model.
std::optional<ChatTemplateText> TemplateOf(const std::filesystem::path& directory,
                                           const ModelConfig& config) {
  if (config.family == "binocle" || config.family == "tinyllava") return std::nullopt;
  return ReadChatTemplate(
      directory, config.takes_pictures() ? TemplateOwner::kProcessor : TemplateOwner::kTokenizer);
}

}  // namespace

FeatureShape TowerConfig::features() const {
  return std::visit(
      [](const auto& tower) {
        const PatchGrid grid = tower.grid();
        return FeatureShape{.tokens = tower.feature.tokens(grid.patches()),
                            .width = tower.width,
                            .grid = grid,
                            .class_token = tower.feature.keep_class_token,
                            .first_patch_dropped = tower.feature.drop_first_patch};
      },
      shape);
}

std::string_view TowerConfig::type() const {
  if (std::holds_alternative<ClipConfig>(shape)) return "clip_vision_model";
  if (std::holds_alternative<SiglipConfig>(shape)) return "siglip_vision_model";
  return std::get<Dinov2Config>(shape).registers > 0 ? "dinov2_with_registers" : "dinov2";
}

const FeatureSelection& TowerConfig::feature() const {
  return std::visit([](const auto& tower) -> const FeatureSelection& { return tower.feature; },
                    shape);
}

bool TowerConfig::has_class_token() const { return !std::holds_alternative<SiglipConfig>(shape); }

int64_t TowerConfig::patch_size() const {
  return std::visit([](const auto& tower) { return tower.patch_size; }, shape);
}

const std::filesystem::path* ModelConfig::text_path() const {
  for (const ModelPart& part : parts) {
    if (part.prefix == "language_model.") return &part.path;
  }
  return nullptr;
}

PicturePlan ModelConfig::PlanPicture(int64_t width, int64_t height, Company company) const {
  if (!tiling) return {.tiles = {}, .tokens = visual_tokens()};
  const TileLayout tiles = PlanTiles(*tiling, width, height, company);
  return {.tiles = tiles, .tokens = tiles.visual_tokens()};
}

int64_t ModelConfig::visual_tokens() const {
  if (tiling) return tiling->max_visual_tokens();
  const int64_t a = anchor ? anchor->features().tokens : 0;
  const int64_t b = augment ? augment->features().tokens : 0;
  switch (fusion.type) {
    case FusionType::kAugment: return b;
    case FusionType::kTokenConcat: return a + b;
    case FusionType::kInterleave: return 2 * a;
    default: return a;
  }
}

ModelConfig ReadModelConfig(const std::filesystem::path& directory,
                            const ModelOverrides& overrides) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory, ignored))
    Throw(Code::kNotFound, directory.string(), ": no such model directory");
  if (!std::filesystem::is_directory(directory, ignored)) {
    ThrowInvalid(
        directory.string(),
        ": is not a directory, expected a model directory with config.json, or a .gguf file");
  }
  if (overrides.projector)
    ThrowOption("projector", "goes with a GGUF text model, and ", directory.string(), " is none");
  const auto path = directory / "config.json";
  const Json json = ReadJsonFile(path);
  const JsonObject config(json, path.string());
  ModelConfig c = FindFamily(config).parse({.directory = directory, .config = config}, overrides);
  ResolveConversation(TemplateOf(directory, c), overrides, c);

  AddEndTokens(config, c, c.end_tokens);
  if (config.Has("text_config")) AddEndTokens(config.Object("text_config"), c, c.end_tokens);
  AddEndTokensOf(directory / "generation_config.json", c);
  if (const auto* text = c.text_path()) {
    AddEndTokensOf(*text / "config.json", c);
    AddEndTokensOf(*text / "generation_config.json", c);
  }
  return c;
}

std::string_view AlignerName(Aligner aligner) {
  switch (aligner) {
    case Aligner::kNone: return "none";
    case Aligner::kVo: return "vo";
    case Aligner::kVoFfn: return "vo_ffn";
  }
  return "?";
}

Aligner ParseAligner(std::string_view name, const std::string& where) {
  for (const Aligner aligner : {Aligner::kNone, Aligner::kVo, Aligner::kVoFfn}) {
    if (AlignerName(aligner) == name) return aligner;
  }
  ThrowInvalid(where, " is ", Printable(name, 40), ", expected one of vo, vo_ffn, none");
}

}  // namespace binocle
