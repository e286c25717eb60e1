// Decoder shapes from the configuration of a public checkpoint.
#pragma once

#include "core/json.h"
#include "llm/llama_config.h"

namespace binocle {

// Keys absent from the file take the defaults of transformers' LlamaConfig. Kinds of rope_scaling other than default, linear,
// dynamic and llama3 are refused by name: UNIMPLEMENTED.
LlamaConfig ParseLlamaConfig(const JsonObject& json);

}  // namespace binocle
