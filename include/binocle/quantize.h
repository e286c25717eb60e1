// Packing a model's matrices ahead of time, in fewer bits.
//
//   binocle::QuantizeModel("llava-1.5-7b", "llava-1.5-7b-int4", {.compute = "int4"});
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/export.h"

namespace binocle {

struct QuantizeOptions {
  std::string compute = "int8";  // "bf16", "int8", "int4", as EngineOptions::compute
  std::string compute_parts;  // as EngineOptions::compute_parts; a part that is f32 stays as it is
  int64_t shard_bytes =
      int64_t{4} << 30;  // 1 MiB … 1 PiB; of tensors in a file, where one tensor alone is not more
  bool overwrite =
      false;  // a model directory in the output's place goes, once the new one is whole
  // Called now and then with the bytes of tensors that are written and that will be; what it throws ends the work. May be empty.
  std::function<void(int64_t, int64_t)> on_progress;
};

struct QuantizeReport {
  std::string path;  // the new directory
  std::vector<std::string> files;
  int64_t matrices = 0;    // that are packed
  int64_t tensors = 0;     // all that is in the new files
  int64_t bytes = 0;       // of them
  int64_t from_bytes = 0;  // of the old ones
};

// Reads the model directory `from` and writes `out`, which is there whole or not at all: the same configuration and names, with the matrices as
// engines keep them, so that loading maps them and computes nothing. Answers are to the last bit those of `from` loaded with the same `compute`.
//
// Throws binocle::Error: what loading `from` would; ALREADY_EXISTS; FAILED_PRECONDITION for a model that is packed already; UNIMPLEMENTED for a
// GGUF file; INVALID_ARGUMENT for options out of range; RESOURCE_EXHAUSTED for a full disk.
BINOCLE_EXPORT QuantizeReport QuantizeModel(const std::string& from, const std::string& out,
                                            const QuantizeOptions& options);

}  // namespace binocle
