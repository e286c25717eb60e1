#include "service/client/status_error.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "google/rpc/error_details.pb.h"
#include "service/common/text.h"

namespace binocle {
namespace {

// Where requests of binocle.v1 have options of the C++ structs.
constexpr std::array<std::string_view, 5> kOptionGroups = {
    "sampling.", "interventions.", "constraint.", "attention.", "faithfulness."};
// Options without a group.
constexpr std::array<std::string_view, 9> kOptions = {"logprobs",      "priority", "system",
                                                      "prompt_format", "model",    "layers",
                                                      "heads",         "cosine",   "pooling"};

// "sampling.stop[1]" is "stop[1]"; empty for what is no option.
std::string_view OptionPath(std::string_view field) {
  for (const std::string_view group : kOptionGroups) {
    if (!field.starts_with(group)) continue;
    const std::string_view path = field.substr(group.size());
    return path == "kind" ? "attention" : path;
  }
  const std::string_view first = field.substr(0, field.find_first_of(".["));
  return std::find(kOptions.begin(), kOptions.end(), first) == kOptions.end() ? std::string_view()
                                                                              : field;
}

// The picture that `field` is or is in.
std::optional<std::string> PictureName(std::string_view field, const PictureNames& names) {
  for (const auto& [path, name] : names) {
    if (field == path || field.starts_with(path + ".")) return name;
  }
  return std::nullopt;
}

std::string Sentence(const CallError::Violation& violation, const PictureNames& names) {
  if (const auto name = PictureName(violation.field, names)) {
    return *name + ": " + violation.description;
  }
  const std::string_view option = OptionPath(violation.field);
  const std::string_view subject = option.empty() ? std::string_view(violation.field) : option;
  return Text(subject, subject.empty() ? "" : " ", violation.description);
}

CallError::Details DetailsOf(const grpc::Status& status, const std::string& request_id) {
  CallError::Details details{.request_id = request_id};
  google::rpc::Status packed;
  if (!packed.ParseFromString(status.error_details())) return details;
  for (const google::protobuf::Any& detail : packed.details()) {
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    google::rpc::ErrorInfo info;
    if (detail.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations())
        details.violations.push_back({violation.field(), violation.description()});
    } else if (detail.UnpackTo(&retry)) {
      details.retry_delay = std::chrono::seconds(retry.retry_delay().seconds()) +
                            std::chrono::milliseconds(retry.retry_delay().nanos() / 1'000'000);
    } else if (detail.UnpackTo(&info)) {
      details.reason = info.reason();
    }
  }
  return details;
}

std::string MessageOf(const grpc::Status& status, const CallFacts& facts) {
  const std::string& message = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE: return facts.target + ": " + message;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      if (message != "Deadline Exceeded") return message;  // the server's own limit, in its words
      return Text(facts.target, ": no answer within ",
                  static_cast<double>(facts.timeout.count()) / 1000, " s");
    default: return message.empty() ? facts.target + ": the call failed" : message;
  }
}

}  // namespace

CallError ErrorOf(const grpc::Status& status, const CallFacts& facts, const PictureNames& names) {
  CallError::Details details = DetailsOf(status, facts.request_id);
  const auto code = static_cast<Code>(status.error_code());
  if (details.violations.empty()) return {code, MessageOf(status, facts), "", std::move(details)};
  std::string message;
  for (const CallError::Violation& violation : details.violations)
    message += (message.empty() ? "" : "; ") + Sentence(violation, names);
  const std::string& field = details.violations[0].field;
  const bool picture = PictureName(field, names).has_value();
  const std::string_view path = picture ? std::string_view() : OptionPath(field);
  std::string option(path.substr(0, path.find_first_of(".[")));
  return {code, std::move(message), std::move(option), std::move(details)};
}

}  // namespace binocle
