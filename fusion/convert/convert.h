// binocle/convert.h, for the folder above.
#pragma once

#include "binocle/convert.h"
#include "core/exec.h"

namespace binocle {

ConvertReport ConvertDirectory(Exec& ex, const std::string& from, const std::string& out,
                               const ConvertOptions& options);

}  // namespace binocle
