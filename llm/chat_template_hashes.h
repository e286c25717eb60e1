// The public chat templates that are known, in the order of their hashes. Made by tools/reference/template_goldens.py.
#pragma once

#include <span>

#include "llm/chat_template.h"

namespace binocle {

std::span<const ChatTemplateHash> ChatTemplateHashes();

}  // namespace binocle
