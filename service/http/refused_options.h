// Options of other servers and of OpenAI's that would change an answer and that we do not have.
#pragma once

#include "service/http/json_body.h"

namespace binocle::http {

// Throws UNIMPLEMENTED for the first that is there with a value that would do something.
void RefuseOptions(const Fields& body);

}  // namespace binocle::http
