// EvalModelDigest: which model it is, without reading all of a large one.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "binocle/eval_run.h"
#include "core/error.h"
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

}  // namespace

std::string EvalModelDigest(const std::string& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path extension = entry->path().extension();
    if (extension == ".json" || extension == ".model" || extension == ".safetensors")
      paths.push_back(entry->path());
  }
  if (error) Throw(Code::kNotFound, directory, ": ", error.message());
  std::sort(paths.begin(), paths.end());
  eval::Sha256 all;
  for (const fs::path& path : paths) {
    const MappedFile file(path);
    all.Add(path.filename().string() + '\0' + std::to_string(file.size()) + '\0' + Digest(file) +
            '\n');
  }
  return all.Hex();
}

}  // namespace binocle
