// What the reader of a JSON Schema looks up in it, and whether two schemas can accept one value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace binocle {

// Whether `value` is of a type as schemas name it: an integer is a number too, and 1.0 an integer.
bool HasJsonType(const OrderedJson& value, std::string_view type);

// The list of `type`, or the one type; nothing where the keyword is absent. The schema is well-formed.
std::vector<std::string> JsonTypes(const OrderedJson& schema);

// The schema that `#/$defs/<name>` or `#/definitions/<name>` names, null when there is none.
const OrderedJson* FindDefinition(const OrderedJson& root, std::string_view reference);

// False only if no value is accepted by both. The schemas, and those they refer to in `root`, have been compiled and so are well-formed.
bool MayOverlap(const OrderedJson& root, const OrderedJson& a, const OrderedJson& b);

}  // namespace binocle
