#include <cstring>

#include "core/backend/cuda/command.h"

namespace binocle::cuda {
namespace {
// A list through the entries themselves, so that it is there whichever file's entries are made first.
CommandEntry* first_command = nullptr;
}  // namespace

CommandEntry::CommandEntry(const char* name, CommandFunction function)
    : name_(name), function_(function), next_(first_command) {
  first_command = this;
}

CommandFunction FindCommand(const char* name) {
  for (const CommandEntry* entry = first_command; entry != nullptr; entry = entry->next_)
    if (std::strcmp(entry->name_, name) == 0) return entry->function_;
  return nullptr;
}

}  // namespace binocle::cuda
