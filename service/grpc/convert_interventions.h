// Interventions as a message of binocle.v1: as a server tells which it applied, and as a client asks for them.
#pragma once

#include <cstdint>

#include "binocle/interventions.h"
#include "binocle/v1/interventions.pb.h"

namespace binocle {

// The nearest number that the field has: what is outside stays outside of every range.
int32_t Int32Of(int64_t value);

v1::Interventions InterventionsToProto(const Interventions& interventions);

}  // namespace binocle
