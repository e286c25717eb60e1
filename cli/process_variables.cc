#include "cli/process_variables.h"

#include <cstdlib>

#include "cli/commands.h"
#include "cli/ranges.h"

namespace binocle::cli {
namespace {

constexpr int64_t kMostProcesses = 1 << 16;

}  // namespace

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

int64_t IntegerVariable(const char* name, const std::string& value, const std::string& otherwise) {
  int64_t number = 0;
  if (!ReadNumber(value, number))
    throw UsageError{std::string(name) + " is " + value + ", expected an integer; " + otherwise};
  return number;
}

std::optional<ProcessPlace> PlaceFromVariables(const char* index_name, const char* count_name,
                                               const std::string& otherwise) {
  const auto index = Variable(index_name);
  if (!index) return std::nullopt;
  const auto count = Variable(count_name);
  if (!count)
    throw UsageError{std::string(index_name) + " is " + *index + " and " + count_name +
                     " is not set, expected the number of processes in it; " + otherwise};
  const ProcessPlace place{.index = IntegerVariable(index_name, *index, otherwise),
                           .count = IntegerVariable(count_name, *count, otherwise),
                           .from = index_name};
  if (place.count < 1 || place.count > kMostProcesses || place.index < 0 ||
      place.index >= place.count)
    throw UsageError{std::string(index_name) + " is " + *index + " and " + count_name + " is " +
                     *count + ", which is no part; " + otherwise};
  return place;
}

}  // namespace binocle::cli
