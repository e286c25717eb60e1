// ModelInfo from a checked model: what it is and what it will take, before anything is loaded.
#pragma once

#include "binocle/model_info.h"
#include "fusion/vlm_model.h"
#include "service/engine/load_options.h"

namespace binocle {

// Positions that a request may take: the model's limit, or less where the caller says so.
int64_t ContextTokens(const ModelConfig& config, const LoadOptions& options);

// Rows of a pass.
int64_t PassRows(const ModelConfig& config, const LoadOptions& options);
// Rows of the decoder's buffers: those of a pass, and one for each sequence that ends with a picture.
int64_t BufferRows(const ModelConfig& config, const LoadOptions& options);

// Pages of keys and values. Throws INVALID_ARGUMENT when there would be fewer than a request may need.
int64_t PoolPages(const ModelConfig& config, const LoadOptions& options);

// Throws INVALID_ARGUMENT where the options ask for blocks and no tensor is in any.
ModelInfo Summarize(const CheckedModel& model, const LoadOptions& options);
// With ModelInfo::compute. Throws as CheckPackedKind does.
ModelInfo Summarize(const CheckedModel& model, const LoadOptions& load,
                    const EngineOptions& options);

}  // namespace binocle
