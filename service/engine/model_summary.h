// ModelInfo from a checked model: what it is and what it will take, before anything is loaded.
#pragma once

#include "binocle/model_info.h"
#include "fusion/vlm_model.h"
#include "service/engine/load_options.h"

namespace binocle {

// Sequences that an engine has room for: a request's own and the one that guidance and VCD pair it with.
inline constexpr int64_t kEngineSequences = 2;

// Positions that a request may take: the model's limit, or less where the caller says so.
int64_t ContextTokens(const ModelConfig& config, const LoadOptions& options);

// Rows of the decoder's buffers.
int64_t ChunkRows(const ModelConfig& config, const LoadOptions& options);

ModelInfo Summarize(const CheckedModel& model, const LoadOptions& options);

}  // namespace binocle
