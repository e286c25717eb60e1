// What writing one model directory from another takes beside tensors.
#pragma once

#include <filesystem>
#include <string>

#include "core/json.h"

namespace binocle {

// Throws INVALID_ARGUMENT for an output that is, or lies inside, or holds, what is read: it would be read while it is written, or replaced.
void CheckApart(const std::filesystem::path& out, const std::filesystem::path& read);
// Throws NOT_FOUND, and UNIMPLEMENTED for a GGUF file. `what` names it: "model directory".
void CheckIsDirectory(const std::filesystem::path& path, const char* what);

// Nothing for null.
void WriteJson(const std::filesystem::path& path, const Json& json);
// The file of this name, where `from` has one and `to` has not.
void CopySmallFile(const std::filesystem::path& from, const std::filesystem::path& to,
                   const std::string& name);
// Tokenizers, chat templates, licences and, for the very same weights, what was calibrated on them.
void CopyModelFiles(const std::filesystem::path& from, const std::filesystem::path& to,
                    bool same_weights);

}  // namespace binocle
