// Which of several processes this one is, as whoever started it says in the environment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace binocle::cli {

// A variable that is set to something.
std::optional<std::string> Variable(const char* name);

// `otherwise`, how the error goes on: "or say --shard". Throws UsageError for what is no integer.
int64_t IntegerVariable(const char* name, const std::string& value, const std::string& otherwise);

// One of `count` processes, `from` two variables.
struct ProcessPlace {
  int64_t index = 0;
  int64_t count = 1;
  std::string from;  // the variable that said so
};

// The place that a pair of variables names; nothing where the first is not set. Throws UsageError where they name none of at most 65536.
std::optional<ProcessPlace> PlaceFromVariables(const char* index_name, const char* count_name,
                                               const std::string& otherwise);

}  // namespace binocle::cli
