#include "cli/constraint_flags.h"

#include <fstream>

#include "binocle/error.h"
#include "cli/commands.h"
#include "cli/flags.h"

namespace binocle::cli {
namespace {

// A text, or the beginning of the file that @FILE names: the engine says what a schema may have, and refuses what is longer.
std::string TextOrFile(const std::string& text) {
  if (!text.starts_with('@')) return text;
  constexpr std::streamsize kMostBytes = 1 << 20;
  const std::string path = text.substr(1);
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kMostBytes, '\0');
  file.read(bytes.data(), kMostBytes);
  if (!file.is_open() || file.bad()) throw Error(Code::kNotFound, path + ": cannot be read");
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

}  // namespace

void ConstraintFlags::Add(CLI::App& command) {
  const char* group = "Constraint";
  command.add_option("--choices", choices, "the answer is one of these texts (repeatable)")
      ->check(NotEmpty("--choices", "a text"))
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--regex", regex, "the whole answer matches")
      ->check(NotEmpty("--regex", "a regular expression"))
      ->group(group);
  command
      .add_option("--json-schema", json_schema,
                  "the answer is JSON that the schema accepts; the schema, or @FILE")
      ->check(NotEmpty("--json-schema", "a JSON schema or @FILE"))
      ->group(group);
}

Constraint ConstraintFlags::Get() const {
  if (int{!choices.empty()} + int{!regex.empty()} + int{!json_schema.empty()} > 1)
    throw UsageError{"--choices, --regex and --json-schema exclude each other"};
  if (!choices.empty()) return Choices{choices};
  if (!regex.empty()) return Regex{regex};
  if (!json_schema.empty()) return JsonSchema{TextOrFile(json_schema)};
  return {};
}

}  // namespace binocle::cli
