#include "service/grpc/status.h"

#include <array>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "binocle/busy_error.h"
#include "google/rpc/error_details.pb.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxDetails = 4096;
constexpr size_t kMaxDescription = 512;
constexpr std::chrono::milliseconds kRetry{1000};

// Where requests of binocle.v1 have an option of the C++ structs.
std::string FieldOf(const Error& error) {
  struct Place {
    std::string_view option;
    const char* prefix;
  };
  static constexpr std::array kPlaces = {
      Place{"max_new_tokens", "sampling."},
      Place{"temperature", "sampling."},
      Place{"top_k", "sampling."},
      Place{"top_p", "sampling."},
      Place{"min_p", "sampling."},
      Place{"repetition_penalty", "sampling."},
      Place{"seed", "sampling."},
      Place{"stop", "sampling."},
      Place{"n", "sampling."},
      Place{"var", "interventions."},
      Place{"modulate", "interventions."},
      Place{"pai", "interventions."},
      Place{"guidance", "interventions."},
      Place{"vcd", "interventions."},
      Place{"choices", "constraint."},
      Place{"regex", "constraint."},
      Place{"json_schema", "constraint."},
      Place{"composite_layers", "attention."},
      Place{"aligner", "attention."},
      Place{"blocks", "faithfulness."},
      Place{"curve_points", "faithfulness."},
  };
  // "var.p is 2": the first word tells more than the option.
  const std::string& message = error.message();
  std::string name = error.option();
  if (message.starts_with(name + ".")) name = message.substr(0, message.find(' '));
  for (const Place& place : kPlaces) {
    if (place.option == error.option()) return place.prefix + name;
  }
  return name;
}

std::string DescriptionOf(const Error& error) {
  const std::string& message = error.message();
  const size_t space = message.find(' ');
  const bool names = message.starts_with(error.option()) && space != std::string::npos;
  return names ? message.substr(space + 1) : message;
}

// What an error without an option is about, where its message begins with the path of a field: "images[0]: is no picture".
std::string_view PathOf(const Error& error) {
  const std::string_view path =
      std::string_view(error.message()).substr(0, error.message().find(": "));
  const std::string_view name = path.substr(0, path.find_first_of("[."));
  const bool known = name == "images" || name == "messages" || name == "prompt" ||
                     name == "system" || name == "texts";
  return known && path.size() < error.message().size() ? path : std::string_view();
}

// Violations until the details would be too long for metadata.
google::rpc::BadRequest BadRequestOf(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad;
  for (const FieldViolation& violation : violations) {
    auto& added = *bad.add_field_violations();
    added.set_field(ValidUtf8(violation.field, kMaxDescription));
    added.set_description(ValidUtf8(violation.description, kMaxDescription));
    if (bad.ByteSizeLong() <= kMaxDetails - kMaxMessage - kMaxDescription) continue;
    bad.mutable_field_violations()->RemoveLast();
    break;
  }
  return bad;
}

std::string Details(const Error& error, const std::string& message, const StatusDetails& details) {
  google::rpc::Status status;
  if (!details.violations.empty()) status.add_details()->PackFrom(BadRequestOf(details.violations));
  if (details.retry) {
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(details.retry->count() / 1000);
    info.mutable_retry_delay()->set_nanos(
        static_cast<int32_t>(details.retry->count() % 1000 * 1'000'000));
    status.add_details()->PackFrom(info);
  }
  if (!details.reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(details.reason);
    info.set_domain("binocle");
    status.add_details()->PackFrom(info);
  }
  if (status.details().empty()) return "";
  status.set_code(static_cast<int32_t>(error.code()));
  status.set_message(message);
  return status.SerializeAsString();
}

}  // namespace

bool Passes(const Error& error) {
  return error.code() == Code::kUnavailable || dynamic_cast<const BusyError*>(&error) != nullptr;
}

std::vector<FieldViolation> ViolationsOf(const Error& error) {
  if (!error.option().empty())
    return {{.field = FieldOf(error), .description = DescriptionOf(error), .code = error.code()}};
  const std::string_view path = PathOf(error);
  if (path.empty()) return {};
  return {{.field = std::string(path),
           .description = error.message().substr(path.size() + 2),
           .code = error.code()}};
}

grpc::Status StatusOf(const Error& error, StatusDetails details) {
  if (details.violations.empty()) details.violations = ViolationsOf(error);
  // Who must change the request does not help himself by sending it again.
  const bool later = details.violations.empty() && Passes(error);
  if (!details.retry && later) details.retry = kRetry;
  const std::string message = ValidUtf8(error.message(), kMaxMessage);
  return {static_cast<grpc::StatusCode>(error.code()), message, Details(error, message, details)};
}

grpc::Status StatusOf(const Violations& violations) {
  return StatusOf(Error(violations.code(), violations.Summary()),
                  {.violations = violations.list(), .retry = {}, .reason = {}});
}

grpc::Status StatusOfReply(int64_t bytes, int64_t max_message_bytes) {
  if (bytes <= max_message_bytes) return grpc::Status::OK;
  return StatusOf(Error(Code::kResourceExhausted,
                        Text("the reply has ", bytes, " bytes, the server's limit on messages is ",
                             max_message_bytes)));
}

grpc::Status ReaderHasStopped() {
  return StatusOf(Error(Code::kCancelled, "the client has stopped reading, or reads too slowly"));
}

grpc::Status ReaderGivesWay() {
  return StatusOf(Error(Code::kCancelled,
                        "the client has stopped reading, or reads too slowly, and other replies "
                        "need the room of its own"));
}

grpc::Status TooManyMessages(size_t messages) {
  return StatusOf(
      Error(Code::kResourceExhausted, Text("the client reads too slowly: ", messages,
                                           " messages of the stream wait for it, as many as may")));
}

grpc::Status NoRoomForReply() {
  return StatusOf(BusyError("replies: as many bytes wait for clients that read as may"));
}

grpc::Status Guarded(const std::function<void()>& action) {
  try {
    action();
    return grpc::Status::OK;
  } catch (const Error& error) {
    return StatusOf(error);
  } catch (const std::bad_alloc&) {
    return StatusOf(BusyError("out of memory"));
  } catch (const std::exception& error) {
    return StatusOf(Error(Code::kInternal, error.what()));
  } catch (...) {
    return StatusOf(Error(Code::kInternal, "an exception that tells nothing"));
  }
}

}  // namespace binocle
