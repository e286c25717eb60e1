// Numbers and enums of one message, checked one by one.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "service/common/text.h"
#include "service/grpc/violations.h"

namespace binocle {

// A field that was set, or nothing.
template <typename Value>
std::optional<Value> If(bool has, Value value) {
  return has ? std::optional<Value>(value) : std::nullopt;
}

struct Bounds {
  double low = 0, high = 0;
};

class FieldChecks {
 public:
  // `path`: "interventions.var"; empty: the request's own fields.
  FieldChecks(std::string path, Violations& violations)
      : prefix_(path.empty() ? "" : std::move(path) + "."), violations_(violations) {}

  // Puts a value that was set and is within its bounds into `target`.
  template <typename Value, typename Target>
  void Take(const char* name, const std::optional<Value>& value, const Bounds& bounds,
            Target& target) {
    if (!value) return;
    const auto number = static_cast<double>(*value);
    if (!(number >= bounds.low && number <= bounds.high)) {
      Add(name, Text("is ", *value, ", expected ", bounds.low, " to ", bounds.high));
    } else {
      target = *value;
    }
  }

  // Whether an enum's number is one that this server knows.
  bool Known(const char* name, bool known, int number) {
    if (!known) Add(name, Text("is ", number, ", which is no value that this server knows"));
    return known;
  }

  void Add(const std::string& name, std::string description) {
    violations_.Add(prefix_ + name, std::move(description));
  }

  std::string PathOf(const std::string& name) const { return prefix_ + name; }

 private:
  std::string prefix_;
  Violations& violations_;
};

}  // namespace binocle
