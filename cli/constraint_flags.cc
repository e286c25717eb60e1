#include "cli/constraint_flags.h"

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/small_file.h"

namespace binocle::cli {

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
  if (json_schema.empty()) return {};
  return JsonSchema{json_schema[0] == '@' ? ReadSmallFile(json_schema.substr(1)) : json_schema};
}

}  // namespace binocle::cli
