// What a model is made of, and what it will take in memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace binocle {

// A tower, the fusion or the language model.
struct PartInfo {
  std::string name;  // "anchor", "augment", "fusion", "projector", "language_model"
  std::string type;  // "clip_vision_model", "ftz", "llama", …
  std::vector<std::pair<std::string, std::string>> properties;  // "width" → "192", in reading order
  int64_t parameters = 0;
  int64_t weight_bytes = 0;      // in memory, packed
  int64_t activation_bytes = 0;  // buffers allocated once
};

struct TensorInfo {
  std::string name;   // as in the file
  std::string dtype;  // "bf16"
  std::vector<int64_t> shape;
};

// EngineOptions::kv_tokens counts in steps of so many: room for keys and values is rounded up to whole ones, but where all of it is less.
inline constexpr int64_t kKvGroupTokens = 1024;

struct ModelInfo {
  std::string name;
  std::string family;  // "binocle", "llava"
  std::string path;
  std::vector<PartInfo> parts;
  std::vector<TensorInfo> tensors;
  int64_t vocabulary = 0;
  int64_t context_tokens = 0;  // prompt and answer together
  int64_t image_tokens = 0;    // per picture; at most, where pictures are seen in tiles
  int32_t image_token_id = 0;
  std::string attention;  // "stock", "composite", "mixed"
  std::string aligner;    // of composite layers
  std::vector<int64_t> composite_layers;
  std::string
      compute;  // "f32", "bf16", "int8", "int4", "blocks": of the language model's layers; each part's is among its properties
  std::string device;       // "cpu", "cuda:0": where the model runs
  std::string device_note;  // why it is the CPU where a GPU was asked for; else empty
  std::string fusion;
  std::string
      conversation;  // "unknown (sha256 …)": the model's own chat template, which nothing here renders
  int64_t file_bytes = 0;  // tensors as stored; mapped, not copied
  int64_t kv_bytes =
      0;  // keys and values of a request and of the one it may be paired with, at full context
  int64_t kv_group_bytes = 0;  // keys and values of kKvGroupTokens positions
  // What ops pass on and threads have for themselves, at most, and a picture on its way.
  int64_t workspace_bytes = 0;
  // weights + activations + kv + workspace: what a request at full context may touch, beside the program itself.
  int64_t planned_bytes = 0;
  int64_t parameters = 0;
};

}  // namespace binocle
