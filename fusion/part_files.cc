#include "fusion/part_files.h"

#include "core/mapped_file.h"
#include "core/weight_files.h"
#include "llm/gguf_config.h"

namespace binocle {
namespace {

constexpr std::string_view kLanguageModelPrefix = "language_model.";

// CLIPModel and SiglipModel hold their tower's configuration in vision_config.
Json TowerOf(const Json& config, std::string& where) {
  if (!config.contains("vision_config")) return config;
  const JsonObject whole(config, where);
  Json tower = whole.Object("vision_config").json();
  where += ": vision_config";
  if (!tower.contains("model_type"))
    tower["model_type"] = whole.String("model_type") + "_vision_model";
  return tower;
}

// Keys of our own may stand beside the path; those of the checkpoint are its own affair.
void CheckKeysBeside(const JsonObject& section, bool text) {
  if (text) return section.OnlyKeys({"path"});
  section.OnlyKeys(
      {"path", "vision_feature_layer", "vision_feature_select_strategy", "vision_feature_norm"});
}

// The name of a tower's tensor in `set`'s checkpoint as the tower's own checkpoint has it; empty: of another part.
std::string TowerName(const std::string& name, bool has_vision_model) {
  if (has_vision_model) return name.starts_with("vision_model.") ? name : std::string();
  for (const std::string_view wrapper : {"dinov2.", "dinov2_with_registers."}) {
    if (name.starts_with(wrapper)) return name.substr(wrapper.size());
  }
  return name.starts_with("classifier.") ? std::string() : name;
}

// A base model's tensors have no "model." in front.
std::string TextName(const std::string& name, bool base) { return base ? "model." + name : name; }

}  // namespace

PartConfig PartConfig::Read(const std::filesystem::path& directory, const JsonObject& config,
                            std::string_view section) {
  const JsonObject written = config.Object(section);
  const bool text = section == "text_config";
  PartConfig part;
  part.json_ = written.json();
  part.where_ = written.where();
  if (!written.Has("path")) return part;
  CheckKeysBeside(written, text);
  const std::filesystem::path path = directory / written.String("path");
  if (!IsThere(path))
    Throw(Code::kNotFound, written.where(), ": path: ", path.string(), " is not there");
  part.path_ = path;
  if (text && path.extension() == ".gguf") {
    part.gguf_ = std::make_shared<GgufFile>(path);
    return part;
  }
  part.where_ = (path / "config.json").string();
  part.json_ = ReadJsonFile(part.where_);
  if (part.json_.contains("path"))
    ThrowInvalid(part.where_, ": path: a part's own configuration is expected to name no path");
  if (!text) part.json_ = TowerOf(part.json_, part.where_);
  Json beside = written.json();
  beside.erase("path");
  part.json_.update(beside);
  return part;
}

void AddPartTensors(const std::filesystem::path& path, const std::string& prefix, TensorSet& set) {
  if (path.extension() == ".gguf")
    return AddGgufTextTensors(std::make_shared<GgufFile>(path), prefix, set);
  const auto found = std::make_shared<TensorSet>(ReadTensors(path));
  const bool text = prefix == kLanguageModelPrefix;
  const bool has_vision_model = found->HasPrefix("vision_model.");
  const bool base = !found->HasPrefix("model.") && found->HasPrefix("embed_tokens.");
  for (const auto& [name, view] : found->tensors()) {
    const std::string own = text ? TextName(name, base) : TowerName(name, has_vision_model);
    if (!own.empty()) set.AddMapped(prefix + own, view, found, path.string());
  }
}

}  // namespace binocle
