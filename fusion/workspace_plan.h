// What a model takes beside its weights, buffers, keys and values: what ops pass on and threads have for themselves, and a picture on its way.
#pragma once

#include "fusion/vlm_model.h"

namespace binocle {

// At most, for `threads` threads and passes of `decoder_rows` rows through the language model.
int64_t WorkspaceBytes(const CheckedModel& model, int64_t decoder_rows, int threads);

// On a GPU, where sequences have up to `context` positions: its scratch buffers, with what products keep.
int64_t DeviceWorkspaceBytes(const CheckedModel& model, int64_t decoder_rows, int64_t sequences,
                             int64_t context);

}  // namespace binocle
