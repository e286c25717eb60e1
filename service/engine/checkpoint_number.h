// A number that two directories have alike when they hold the same checkpoint, without a look at all of it.
#pragma once

#include <cstdint>

#include "fusion/vlm_model.h"

namespace binocle {

// Made of config.json's bytes (of a GGUF file: of its first MiB), and of the name, type, shape and the first and last 64 bytes of every tensor.
int64_t CheckpointNumber(const CheckedModel& model);

}  // namespace binocle
