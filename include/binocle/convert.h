// Rewriting model directories: into Binocle's form or Hugging Face's, with LoRA adapters merged, in another element type.
//
//   binocle::ConvertModel("llava-1.5-7b", "mine", {.to = "binocle", .lora = {"adapter"}, .dtype = "bf16"});
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/export.h"

namespace binocle {

struct ConvertOptions {
  // "binocle": a directory of docs/model_format.md. "hf": one that LlavaForConditionalGeneration of transformers reads. Empty: the form
  // stays.
  std::string to;
  // Directories of adapters in PEFT's format (adapter_config.json, adapter_model.safetensors), merged one after the other.
  std::vector<std::string> lora;
  // How a chat is written, by its name in docs/model_format.md: for a Binocle directory, needed where the old directory's chat template is
  // not known. Empty: as the old directory says.
  std::string conversation;
  // "f32", "f16", "bf16": of every tensor of real numbers. Empty: as stored.
  std::string dtype;
  int64_t shard_bytes =
      int64_t{4} << 30;  // 1 MiB … 1 PiB; of tensors in a file, where one tensor alone is not more
  // A model directory in the output's place goes, once the new one is whole.
  bool overwrite = false;
  // Called now and then with the bytes of tensors that are written and that will be; what it throws ends the work. May be empty.
  std::function<void(int64_t, int64_t)> on_progress;
};

struct ConvertReport {
  std::string path;                // the new directory
  std::string model_type;          // of its config.json
  std::vector<std::string> files;  // in it
  int64_t tensors = 0;
  int64_t merged_tensors = 0;  // of them, changed by adapters
  int64_t bytes = 0;           // of tensors
  std::vector<std::string>
      notes;  // what the new form does not say as the old one did, a sentence each
};

// Reads the model directory `from` and writes the directory `out`, which is there whole or not at all. Weights are read from the mapped
// files and written piece by piece, so a model may be larger than memory. A tensor that is not merged and keeps its type keeps its bytes;
// any other is computed in f32 and rounded once.
//
// Throws binocle::Error: what loading `from` would; ALREADY_EXISTS; INVALID_ARGUMENT for an adapter that does not fit, with all of its
// tensors that do not; UNIMPLEMENTED for kinds of adapters and of models that cannot be converted; FAILED_PRECONDITION for a model or
// a chat template that the new form has no words for; OUT_OF_RANGE for a weight that the type cannot hold; RESOURCE_EXHAUSTED for a full disk.
BINOCLE_EXPORT ConvertReport ConvertModel(const std::string& from, const std::string& out,
                                          const ConvertOptions& options);

}  // namespace binocle
