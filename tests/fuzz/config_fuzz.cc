// Any bytes as the JSON files of a model directory. The input is the files of kFiles one after the other, each but the last
// ended by a NUL byte; an empty one is absent. Nothing but binocle::Error may come out of the readers.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/weight_files.h"
#include "fusion/model_config.h"
#include "llm/tokenizer_config.h"

namespace {

namespace fs = std::filesystem;

// make_seeds.py has the same list.
constexpr std::array<const char*, 8> kFiles = {
    "config.json",           "preprocessor_config.json",    "generation_config.json",
    "tokenizer_config.json", "special_tokens_map.json",     "added_tokens.json",
    "tokenizer.json",        "model.safetensors.index.json"};

// The files in a directory that goes away with the program.
class ModelDirectory {
 public:
  ModelDirectory() { fs::create_directories(path_); }
  ~ModelDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ModelDirectory(const ModelDirectory&) = delete;
  ModelDirectory& operator=(const ModelDirectory&) = delete;

  const fs::path& path() const { return path_; }

  // Most inputs differ from the one before in one file: only that one is written.
  void Write(std::string_view input) {
    for (size_t i = 0; i < kFiles.size(); ++i) {
      const std::string_view content = input.substr(0, input.find('\0'));
      input.remove_prefix(std::min(content.size() + 1, input.size()));
      if (content == contents_[i]) continue;
      contents_[i] = content;
      if (content.empty()) {
        fs::remove(path_ / kFiles[i]);
      } else {
        std::ofstream(path_ / kFiles[i], std::ios::binary) << content;
      }
    }
  }

 private:
  fs::path path_ = fs::temp_directory_path() / ("binocle_config_fuzz_" + std::to_string(getpid()));
  std::array<std::string, kFiles.size()> contents_;  // empty: no such file
};

template <typename Read>
void MayThrowErrors(const Read& read) {
  try {
    read();
  } catch (const binocle::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ModelDirectory model;
  model.Write(std::string_view(reinterpret_cast<const char*>(data), size));
  const fs::path& directory = model.path();
  MayThrowErrors([&] {
    const binocle::ModelConfig config = binocle::ReadModelConfig(directory, {});
    BINOCLE_CHECK(config.visual_tokens() >= 0, config.visual_tokens());
  });
  MayThrowErrors([&] {
    binocle::ReadModelConfig(directory,
                             {.fusion = binocle::FusionType::kAdd,
                              .layers = {.attention = binocle::LayerKind::kComposite,
                                         .composite_layers = binocle::LayerRanges::Parse("0,1"),
                                         .aligner = binocle::Aligner::kVo}});
  });
  MayThrowErrors([&] { binocle::ReadTokenizerConfig(directory); });
  MayThrowErrors([&] { binocle::ReadTensors(directory); });
  return 0;
}
