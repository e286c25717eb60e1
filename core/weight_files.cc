#include "core/weight_files.h"

#include "core/json.h"
#include "core/safetensors.h"

namespace binocle {
namespace {

void AddFile(const std::filesystem::path& path, TensorSet& set) {
  if (path.extension() == ".gguf") return AddGgufTensors(std::make_shared<GgufFile>(path), set);
  const auto file = std::make_shared<SafetensorsFile>(path);
  for (const auto& [name, view] : file->tensors()) set.AddMapped(name, view, file, file->path());
}

// A shard is a file beside its index: names that lead elsewhere are refused.
std::set<std::string> ShardNames(const std::filesystem::path& index_path) {
  const Json index = ReadJsonFile(index_path);
  const JsonObject map = JsonObject(index, index_path.string()).Object("weight_map");
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map.json().items()) {
    const std::string name = map.String(tensor);
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with("."))
      map.Fail(tensor, "a file name");
    shards.insert(name);
  }
  if (shards.empty()) ThrowInvalid(index_path.string(), ": weight_map is empty");
  return shards;
}

}  // namespace

void AddGgufTensors(const std::shared_ptr<const GgufFile>& file, TensorSet& set) {
  for (const auto& [name, view] : file->tensors()) set.AddMapped(name, view, file, file->path());
}

TensorSet ReadTensors(const std::filesystem::path& path) {
  TensorSet set;
  std::error_code ignored;
  const auto whole = path / "model.safetensors", index = path / "model.safetensors.index.json";
  if (!std::filesystem::is_directory(path, ignored)) {
    AddFile(path, set);
  } else if (!std::filesystem::exists(whole, ignored) && std::filesystem::exists(index, ignored)) {
    for (const std::string& shard : ShardNames(index)) AddFile(path / shard, set);
  } else {  // also beside an index, which is then an earlier save's: transformers takes it so
    AddFile(whole, set);
  }
  return set;
}

}  // namespace binocle
