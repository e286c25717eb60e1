// Answers and model descriptions as JSON.
#pragma once

#include <nlohmann/json.hpp>

#include "binocle/engine.h"

namespace binocle::cli {

using Json = nlohmann::ordered_json;

// One answered request. `id` is returned as it was given.
Json ResponseJson(const Response& response, const Json& id, const ModelInfo& info);
// With what is known of where it ran instead: some of device, compute and attention.
Json ResponseJson(const Response& response, const Json& id, const Json& runtime);
// A request that failed: {"id", "error": {"code", "message"}}.
Json ErrorJson(const Error& error, const Json& id);
Json ModelJson(const ModelInfo& info);

// One line, whatever bytes the strings hold.
std::string Line(const Json& json);

}  // namespace binocle::cli
