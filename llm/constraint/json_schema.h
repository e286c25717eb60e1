// A JSON Schema as an automaton of the JSON texts that are written for it.
//
// The subset, the spelling of values and the order of properties are those of docs/constraints.md. Every text of the automaton is JSON that
// the schema accepts; not every value that it accepts has a text.
#pragma once

#include <string_view>

#include "llm/constraint/nfa.h"

namespace binocle {

// Throws INVALID_ARGUMENT for what is no schema or can have no value, UNIMPLEMENTED for keywords outside the subset, with the JSON
// pointer of the schema they are in, and RESOURCE_EXHAUSTED for schemas too deep or too large.
Nfa ParseJsonSchema(std::string_view schema);

}  // namespace binocle
