// EngineOptions, checked and parsed.
#pragma once

#include <optional>
#include <string>

#include "binocle/engine.h"
#include "core/exec.h"
#include "fusion/model_config.h"

namespace binocle {

struct LoadOptions {
  ModelOverrides overrides;
  int threads = 1;
  int64_t context_tokens = 0;
  int64_t prefill_chunk_tokens = 0;
  int64_t max_sequences = 2;
  int64_t kv_tokens = 0;
  int64_t memory_limit = 0;
  std::optional<int32_t> cuda;            // the GPU; nothing: the CPU
  std::string device_note;                // why it is the CPU where a GPU was asked for
  const char* asks_for_blocks = nullptr;  // the option that does; nullptr: none
};

// The CPU with the threads that were asked for, and the GPU.
Exec MakeExec(const LoadOptions& load);

// EngineOptions::compute and compute_parts. Throws as ParseLoadOptions does.
KindsByName ParseKinds(const std::string& compute, const std::string& by_part);

// Throws INVALID_ARGUMENT naming the option where a model that is packed as `packed` was to be loaded as something else.
void CheckPackedKind(const std::string& packed, const EngineOptions& options);

// Throws INVALID_ARGUMENT naming the option, what was found and what is possible; UNIMPLEMENTED for a GPU that we have no kernels for. Where there is
// no GPU at all, one that is asked for is the CPU, with a note.
LoadOptions ParseLoadOptions(const EngineOptions& options);

}  // namespace binocle
