#include "fusion/convert/model_folder.h"

#include <algorithm>

#include "core/error.h"
#include "core/mapped_file.h"
#include "core/output_file.h"

namespace binocle {
namespace {

constexpr size_t kMaxCopiedBytes = size_t{64} << 20;

// What both forms have alike, and what goes with a model wherever it goes.
constexpr std::string_view kCopied[] = {
    "generation_config.json",
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
};
// Found by experiment with these very weights (binocle calibrate).
constexpr std::string_view kCalibrations[] = {"sink_dims.json", "head_sensitivity.json",
                                              "composite_layers.json"};

bool Holds(const std::filesystem::path& folder, const std::filesystem::path& path) {
  const auto [at, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return at == folder.end();
}

std::filesystem::path Resolved(const std::filesystem::path& path) {
  std::error_code failure;
  auto resolved = std::filesystem::weakly_canonical(path, failure);
  if (failure) resolved = std::filesystem::absolute(path, failure).lexically_normal();
  return resolved.has_filename() ? resolved : resolved.parent_path();
}

void WriteText(const std::filesystem::path& path, std::string_view text) {
  OutputFile file(path);
  file.Write(text);
  file.Commit();
}

}  // namespace

void CheckApart(const std::filesystem::path& out, const std::filesystem::path& read) {
  const auto a = Resolved(out), b = Resolved(read);
  if (!Holds(a, b) && !Holds(b, a)) return;
  ThrowOption("out", "is ", out.string(), ", which is ",
              a == b        ? ""
              : Holds(a, b) ? "a folder above "
                            : "inside ",
              read.string(), ", expected another place");
}

void CheckIsDirectory(const std::filesystem::path& path, const char* what) {
  std::error_code ignored;
  if (!IsThere(path)) Throw(Code::kNotFound, path.string(), ": no such ", what);
  if (path.extension() == ".gguf" && !std::filesystem::is_directory(path, ignored))
    Throw(Code::kUnimplemented, path.string(), ": is a GGUF file, expected a model directory");
}

void WriteJson(const std::filesystem::path& path, const Json& json) {
  if (!json.is_null()) WriteText(path, json.dump(2) + "\n");
}

void CopySmallFile(const std::filesystem::path& from, const std::filesystem::path& to,
                   const std::string& name) {
  if (IsThere(from / name) && !IsThere(to / name))
    WriteText(to / name, ReadFile(from / name, kMaxCopiedBytes));
}

void CopyModelFiles(const std::filesystem::path& from, const std::filesystem::path& to,
                    bool same_weights) {
  const auto copy = [&](const std::string& name) { CopySmallFile(from, to, name); };
  for (const std::string_view name : kCopied) copy(std::string(name));
  if (same_weights)
    for (const std::string_view name : kCalibrations) copy(std::string(name));
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(from, ignored)) {
    const std::string name = entry.path().filename().string();
    if ((name.starts_with("LICENSE") || name.starts_with("NOTICE")) &&
        entry.is_regular_file(ignored))
      copy(name);
  }
}

}  // namespace binocle
