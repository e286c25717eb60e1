// What is wrong with a request, all of it at once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "binocle/error.h"

namespace google::protobuf {
class Message;
}

namespace binocle {

struct FieldViolation {
  std::string field;        // the path: "sampling.temperature", "images[1].id"; empty: the request
  std::string description;  // how the sentence goes on: "is -1, expected 0 to 100"
  Code code = Code::kInvalidArgument;
};

// Collects faults in the order in which they are found. Keeps the first kMost and counts the others: a hostile request has a million.
class Violations {
 public:
  static constexpr size_t kMost = 32;

  void Add(std::string field, std::string description, Code code = Code::kInvalidArgument);
  // An error about `field`, whose message follows it; where the message begins with the name of an option, that is left out.
  void Add(std::string field, const Error& error);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  const std::vector<FieldViolation>& list() const { return list_; }
  // INVALID_ARGUMENT where one of them is; else the first one's.
  Code code() const;
  // "sampling.temperature is -1, expected 0 to 100 (and 2 more faults)".
  std::string Summary() const;

 private:
  std::vector<FieldViolation> list_;
  size_t count_ = 0;
  bool invalid_ = false;
};

// Fields that this interface does not have, in `message` and everything in it: they are refused, as nobody can say what they would change.
void CheckUnknownFields(const google::protobuf::Message& message, Violations& violations);

}  // namespace binocle
