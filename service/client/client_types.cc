#include <utility>

#include "binocle/client.h"

namespace binocle {

CallError::CallError(Code code, std::string message, std::string option, Details details)
    : Error(code, std::move(message), std::move(option)), details_(std::move(details)) {}
CallError::~CallError() = default;

ImageInput UploadedImage(const std::string& id) { return ImageInput::FromFile("upload:" + id); }

std::string_view HealthStatusName(HealthStatus status) {
  switch (status) {
    case HealthStatus::kServing: return "SERVING";
    case HealthStatus::kNotServing: return "NOT_SERVING";
    case HealthStatus::kUnknown: break;
  }
  return "UNKNOWN";
}

}  // namespace binocle
