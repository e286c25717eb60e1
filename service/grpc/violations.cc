#include "service/grpc/violations.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "service/common/text.h"

namespace binocle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// More of either change nothing: the limits on messages, pictures and texts are lower, and so is what a reply tells of. Without these, a
// message of empty elements would keep a thread for a minute.
constexpr int kMostElements = 4096;
constexpr int kMostUnknown = 64;

void CheckUnknown(const Message& message, const std::string& path, Violations& violations);

void CheckInside(const Message& message, const FieldDescriptor& field, const std::string& path,
                 Violations& violations) {
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    CheckUnknown(reflection.GetMessage(message, &field), path, violations);
    return;
  }
  for (int i = 0; i < std::min(reflection.FieldSize(message, &field), kMostElements); ++i) {
    CheckUnknown(reflection.GetRepeatedMessage(message, &field, i), Text(path, "[", i, "]"),
                 violations);
  }
}

void CheckUnknown(const Message& message, const std::string& path, Violations& violations) {
  const std::string prefix = path.empty() ? "" : path + ".";
  const Reflection& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  for (int i = 0; i < std::min(unknown.field_count(), kMostUnknown); ++i) {
    violations.Add(Text(prefix, unknown.field(i).number()),
                   "is a field number that this server does not know");
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      CheckInside(message, *field, prefix + field->name(), violations);
  }
}

}  // namespace

void Violations::Add(std::string field, std::string description, Code code) {
  ++count_;
  invalid_ = invalid_ || code == Code::kInvalidArgument;
  if (list_.size() < kMost) {
    list_.push_back(
        {.field = std::move(field), .description = std::move(description), .code = code});
  }
}

void Violations::Add(std::string field, const Error& error) {
  std::string_view message = error.message();
  if (!error.option().empty() && message.starts_with(error.option() + " "))
    message.remove_prefix(error.option().size() + 1);
  Add(std::move(field), std::string(message), error.code());
}

Code Violations::code() const {
  return invalid_ || list_.empty() ? Code::kInvalidArgument : list_[0].code;
}

std::string Violations::Summary() const {
  if (list_.empty()) return "";
  const std::string& field = list_[0].field;
  std::string text = Text(field.empty() ? "request" : field, " ", list_[0].description);
  if (count_ > 1) text += Text(" (and ", count_ - 1, " more fault", count_ > 2 ? "s)" : ")");
  return text;
}

void CheckUnknownFields(const Message& message, Violations& violations) {
  CheckUnknown(message, "", violations);
}

}  // namespace binocle
