// EvalModelDigest: which model it is, without reading all of a large one.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <vector>

#include "binocle/eval_run.h"
#include "core/error.h"
#include "core/json.h"
#include "core/mapped_file.h"
#include "eval/run/sha256.h"

namespace binocle {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWholeBytes = size_t{64} << 20;
constexpr size_t kParts = 1024;
constexpr size_t kPartBytes = size_t{64} << 10;

std::string Digest(const MappedFile& file) {
  if (file.size() <= kWholeBytes) return eval::Sha256Of(file.bytes());
  eval::Sha256 hash;
  for (size_t i = 0; i < kParts; ++i)
    hash.Add(file.bytes().substr((file.size() - kPartBytes) / (kParts - 1) * i, kPartBytes));
  return hash.Hex();
}

// A file that is one of several of a GGUF model: all of them, "NAME-00001-of-00003.gguf" and so on.
std::vector<fs::path> WithItsSplits(const fs::path& file) {
  static const std::regex kSplit("(.*)-[0-9]{5}-of-([0-9]{5})[.]gguf");
  const std::string name = file.filename().string();
  std::smatch parts;
  if (!std::regex_match(name, parts, kSplit)) return {file};
  std::vector<fs::path> files;
  const int count = std::stoi(parts[2]);
  for (int i = 1; i <= count; ++i) {
    char number[16];
    std::snprintf(number, sizeof number, "-%05d-of-", i);
    const fs::path one = file.parent_path() / (parts[1].str() + number + parts[2].str() + ".gguf");
    std::error_code ignored;
    if (fs::is_regular_file(one, ignored)) files.push_back(one);
  }
  return files.empty() ? std::vector<fs::path>{file} : files;
}

std::vector<fs::path> FilesOf(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path extension = entry->path().extension();
    if (extension == ".json" || extension == ".model" || extension == ".safetensors")
      paths.push_back(entry->path());
  }
  if (error) Throw(Code::kNotFound, directory.string(), ": ", error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The checkpoints elsewhere that an assembled directory names.
std::vector<fs::path> PartsOf(const fs::path& directory) {
  std::ifstream file(directory / "config.json");
  const Json config = Json::parse(file, nullptr, false);
  std::vector<fs::path> parts;
  for (const char* part : {"anchor_config", "augment_config", "text_config"}) {
    if (!config.is_object() || !config.contains(part) || !config[part].is_object()) continue;
    const auto path = config[part].find("path");
    if (path != config[part].end() && path->is_string())
      parts.push_back(directory / path->get<std::string>());  // one that is absolute stays
  }
  return parts;
}

// Parts name no parts of their own.
void AddModel(const fs::path& path, bool with_parts, eval::Sha256& all) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  for (const fs::path& one : folder ? FilesOf(path) : WithItsSplits(path)) {
    const MappedFile file(one);
    all.Add(one.filename().string() + '\0' + std::to_string(file.size()) + '\0' + Digest(file) +
            '\n');
  }
  if (!folder || !with_parts) return;
  for (const fs::path& part : PartsOf(path)) AddModel(part, false, all);
}

}  // namespace

std::string EvalModelDigest(const std::string& path) {
  eval::Sha256 all;
  AddModel(path, true, all);
  return all.Hex();
}

}  // namespace binocle
