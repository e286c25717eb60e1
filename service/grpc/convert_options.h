// From a request's options to their C++ structs. Every value is checked; `violations` get the paths of the fields at fault, and what is
// returned then is not to be used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "binocle/attention.h"
#include "binocle/interventions.h"
#include "binocle/request.h"
#include "binocle/v1/explanation.pb.h"
#include "binocle/v1/generation.pb.h"
#include "binocle/v1/interventions.pb.h"
#include "service/grpc/violations.h"

namespace binocle {

// Paths begin with "sampling.". Ranges are those of CheckOptions.
GenerationOptions GenerationOf(const v1::Sampling& sampling, Violations& violations);

// Of the request's own field `logprobs`.
int64_t LogprobsOf(int64_t logprobs, int64_t vocabulary, Violations& violations);

// Paths begin with "interventions.". Ranges are those of binocle/interventions.h; what depends on the model is left to the engine.
Interventions InterventionsOf(const v1::Interventions& interventions, Violations& violations);

// Both ends set, 0 <= first <= last; `path` is that of the message.
Layers LayersOf(const v1::Layers& layers, const std::string& path, Violations& violations);

// Paths begin with "constraint.".
Constraint ConstraintOf(const v1::Constraint& constraint, Violations& violations);

// Paths begin with "attention."; what depends on the model is left to the engine.
AttentionOptions AttentionOf(const v1::Attention& attention, Violations& violations);

}  // namespace binocle
