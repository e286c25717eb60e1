#include "service/http/http_error.h"

#include "binocle/busy_error.h"

namespace binocle::http {
namespace {

constexpr const char* kInvalidRequest = "invalid_request_error";
constexpr const char* kServerError = "server_error";

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

// The queue moves within about a second at any load that it admits.
constexpr int kRetryQueueSeconds = 1;
// A process that drains is replaced by another.
constexpr int kRetryDrainSeconds = 5;

HttpError NotFoundError(HttpError error) {
  error.status = 404;
  error.type = kInvalidRequest;
  error.code = error.param == "model" ? "model_not_found" : "not_found";
  return error;
}

HttpError ExhaustedError(HttpError error, bool passes) {
  if (!passes) {
    error.status = 413;
    error.type = kInvalidRequest;
    error.code = "too_large";
    return error;
  }
  error.status = 429;
  error.type = "rate_limit_error";
  error.code = "rate_limit_exceeded";
  error.retry_after_seconds = kRetryQueueSeconds;
  return error;
}

}  // namespace

HttpError ToHttpError(const Error& e) {
  HttpError error{.message = e.message(), .type = kServerError, .param = e.option(), .code = {}};
  const auto with = [&](int status, const char* type, const char* code) {
    error.status = status;
    error.type = type;
    error.code = code;
    return error;
  };
  switch (e.code()) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition: return with(400, kInvalidRequest, "invalid_value");
    case Code::kUnimplemented: return with(400, kInvalidRequest, "unsupported_value");
    case Code::kUnauthenticated: return with(401, "authentication_error", "invalid_api_key");
    case Code::kPermissionDenied: return with(403, "permission_error", "permission_denied");
    case Code::kNotFound: return NotFoundError(error);
    case Code::kAlreadyExists:
    case Code::kAborted: return with(409, "conflict_error", "conflict");
    case Code::kResourceExhausted:
      return ExhaustedError(error, dynamic_cast<const BusyError*>(&e) != nullptr);
    case Code::kDeadlineExceeded: return with(504, kServerError, "deadline_exceeded");
    case Code::kCancelled: return with(503, kServerError, "cancelled");
    case Code::kUnavailable:
      error.retry_after_seconds = kRetryDrainSeconds;
      return with(503, kServerError, "unavailable");
    case Code::kUnknown:
    case Code::kInternal:
    case Code::kDataLoss: break;
  }
  return with(500, kServerError, "internal_error");
}

HttpError NotFound(const std::string& method, const std::string& path) {
  return {.status = 404,
          .message = "no such endpoint: " + method + " " + path,
          .type = kInvalidRequest,
          .param = {},
          .code = "not_found"};
}

HttpError MethodNotAllowed(const std::string& method, const std::string& path,
                           const std::string& allowed) {
  return {.status = 405,
          .message = method + " is not a method of " + path + ", expected " + allowed,
          .type = kInvalidRequest,
          .param = {},
          .code = "method_not_allowed"};
}

HttpError BodyTooLarge(int64_t limit) {
  return {.status = 413,
          .message = "the body has more than " + std::to_string(limit) + " bytes, the limit",
          .type = kInvalidRequest,
          .param = {},
          .code = "too_large"};
}

HttpError NotJson(const std::string& content_type) {
  return {.status = 415,
          .message =
              "the content type is " + Describe(Json(content_type)) + ", expected application/json",
          .type = kInvalidRequest,
          .param = {},
          .code = "unsupported_media_type"};
}

HttpError EncodingUnknown(const std::string& encoding) {
  return {.status = 415,
          .message =
              "Content-Encoding is " + Describe(Json(encoding)) + ", expected gzip, or no encoding",
          .type = kInvalidRequest,
          .param = {},
          .code = "unsupported_encoding"};
}

HttpError BodyTooSlow() {
  return {.status = 408,
          .message = "the body comes too slowly, or not at all",
          .type = kInvalidRequest,
          .param = {},
          .code = "body_timeout"};
}

HttpError Draining() {
  return {.status = 503,
          .message = "the server is shutting down",
          .type = kServerError,
          .param = {},
          .code = "unavailable",
          .retry_after_seconds = kRetryDrainSeconds};
}

Json ErrorJson(const HttpError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", OrNull(error.param)},
            {"code", OrNull(error.code)}}}};
}

}  // namespace binocle::http
