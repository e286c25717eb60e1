// Errors in OpenAI's shape.
#pragma once

#include <optional>
#include <string>

#include "binocle/error.h"
#include "service/http/json_body.h"

namespace binocle::http {

struct HttpError {
  int status = 500;
  std::string message;
  std::string type;                        // "invalid_request_error", …
  std::string param;                       // the place in the body; empty: null
  std::string code;                        // "model_not_found", …; empty: null
  std::optional<int> retry_after_seconds;  // of the Retry-After header
};

// Codes become statuses as docs/http.md says. RESOURCE_EXHAUSTED about something in the body (a picture that is too large) is 413, which
// clients do not try again; without, it is the queue: 429.
HttpError ToHttpError(const Error& error);

HttpError NotFound(const std::string& method, const std::string& path);
HttpError MethodNotAllowed(const std::string& method, const std::string& path,
                           const std::string& allowed);
HttpError BodyTooLarge(int64_t limit);
HttpError BodyTooSlow();
HttpError NotJson(const std::string& content_type);
HttpError EncodingUnknown(const std::string& encoding);
HttpError Draining();

// {"error": {"message", "type", "param", "code"}}
Json ErrorJson(const HttpError& error);

}  // namespace binocle::http
