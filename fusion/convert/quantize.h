// binocle/quantize.h, for the folder above, which reads the options.
#pragma once

#include "binocle/quantize.h"
#include "core/exec.h"
#include "core/weight_kind.h"

namespace binocle {

QuantizeReport QuantizeDirectory(Exec& ex, const std::string& from, const std::string& out,
                                 const QuantizeOptions& options, const KindsByName& kinds);

}  // namespace binocle
