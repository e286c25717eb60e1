// Models of published shapes with random weights: for benchmarks and tests without weights.
//
//   binocle::MakeRandomModel("vicuna-7b", "vicuna.gguf", {.dtype = "q4_0"});
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/export.h"

namespace binocle {

struct RandomPreset {
  std::string name;   // "llava-1.5-7b"
  std::string about;  // its parts, a line
  bool text_only = false;
};

// What MakeRandomModel knows.
BINOCLE_EXPORT std::vector<RandomPreset> RandomPresets();

struct RandomModelOptions {
  // Of matrices: "f32", "f16", "bf16"; in a GGUF file also "q8_0" and "q4_0", with f32 for gains of norms and biases.
  std::string dtype = "f16";
  uint64_t seed = 0;
  int64_t shard_bytes = int64_t{4} << 30;  // 1 MiB … 1 PiB; of a directory's files
  bool overwrite = false;  // a model directory, or the file, in the output's place goes
  // Called now and then with the bytes that are written and that will be; what it throws ends the work. May be empty.
  std::function<void(int64_t, int64_t)> on_progress;
};

struct RandomModelReport {
  std::string path;
  std::string preset;
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;  // of tensors
};

// Writes a model of a preset's shape: a directory with tokenizer and processors, or, where `out` ends in .gguf, a text model in GGUF. The
// tokenizer knows every byte, the special tokens, and words like " w1234" up to the size of the vocabulary, which texts do not give and
// answers are made of. The same preset, type and seed give the same bytes, whatever the number of threads. Throws binocle::Error:
// INVALID_ARGUMENT (Error::option() names the option), ALREADY_EXISTS, RESOURCE_EXHAUSTED for a full disk.
BINOCLE_EXPORT RandomModelReport MakeRandomModel(const std::string& preset, const std::string& out,
                                                 const RandomModelOptions& options);

}  // namespace binocle
