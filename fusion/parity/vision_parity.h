// A picture's way through a model beside a dump: pixels, towers, fused, projected.
#pragma once

#include "fusion/parity/comparison.h"
#include "fusion/parity/dump.h"
#include "fusion/vlm_model.h"

namespace binocle {

// Compares every stage that the dump has of picture `image`, each fed with the dump's stage before it. Returns the visual tokens that the
// decoder is to see, [n, D]: the dump's, or ours where it has none.
Tensor CompareVision(Exec& ex, VlmModel& model, const Dump& dump, int64_t image, StageLog& log);

}  // namespace binocle
