// Values of columns in the forms that data files give them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace binocle::eval {

// The value of a column: a member of that name, or else, where the name has dots, a member of a member ("types.structural"). Null where
// there is none.
const Json* FindColumn(const Json& fields, std::string_view column);

// A text, or a number or truth value as JSON writes it; null is the empty text. Throws INVALID_ARGUMENT for lists and objects.
std::string TextOf(const Json& value, std::string_view column);

// A list of texts, of numbers, or of objects with "answer"; a text that is a list as JSON or Python writes it ("['a', 'b']"); any other
// text alone. Throws INVALID_ARGUMENT for other values.
std::vector<std::string> TextsOf(const Json& value, std::string_view column);

// RFC 4648, blanks passed over, "=" at the end as it may be. Throws INVALID_ARGUMENT for other characters, with the place, and for
// lengths that no bytes have.
std::string DecodeBase64(std::string_view text);

}  // namespace binocle::eval
