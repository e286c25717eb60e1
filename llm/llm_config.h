// Decoder shapes from the configuration of a public checkpoint.
#pragma once

#include <string>

#include "core/json.h"
#include "llm/llama_config.h"

namespace binocle {

// Of model_type llama (also where it is absent), granite, mistral, qwen2 or qwen3. Keys absent from the file take the defaults of that family's
// configuration class in transformers 4.57. Other types, and kinds of rope_scaling other than default, linear, dynamic and llama3,
// are refused by name: UNIMPLEMENTED.
LlamaConfig ParseTextConfig(const JsonObject& json);

// "llama, mistral, …", for messages.
std::string TextModelTypes();

}  // namespace binocle
