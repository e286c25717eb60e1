#include "service/engine/admission.h"

#include "binocle/busy_error.h"
#include "core/error.h"
#include "llm/constraint/compiled_constraint.h"

namespace binocle {
namespace {

int64_t BytesOf(const Request& request) {
  int64_t bytes =
      ConstraintBytes(request.constraint) + (request.system ? std::ssize(*request.system) : 0);
  for (const std::string& stop : request.generation.stop) bytes += std::ssize(stop);
  for (const Message& message : request.messages) {
    bytes += std::ssize(message.text);
    for (const ImageInput& image : message.images)
      bytes += image.bytes ? std::ssize(*image.bytes) : 0;
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Admission::Place> Admission::Enter(const Request& request) {
  const int64_t bytes = BytesOf(request);
  const std::lock_guard lock(mutex_);
  if (requests_ >= max_requests_) {
    throw BusyError(internal::Concat("queue: ", requests_, " requests wait, the limit is ",
                                     max_requests_, "; try again later"));
  }
  // One request may be larger than the limit: its pictures have limits of their own.
  if (requests_ > 0 && bytes_ + bytes > max_bytes_) {
    throw BusyError(internal::Concat("queue: requests of ", bytes_, " bytes wait, ", bytes,
                                     " more would pass the limit of ", max_bytes_,
                                     "; try again later"));
  }
  auto place = std::make_unique<Place>(*this, bytes);
  ++requests_;
  bytes_ += bytes;
  return place;
}

int64_t Admission::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void Admission::Leave(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  --requests_;
  bytes_ -= bytes;
}

}  // namespace binocle
