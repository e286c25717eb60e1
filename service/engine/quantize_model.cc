#include "binocle/quantize.h"
#include "core/error.h"
#include "core/machine.h"
#include "fusion/convert/quantize.h"
#include "service/engine/load_options.h"

namespace binocle {

QuantizeReport QuantizeModel(const std::string& from, const std::string& out,
                             const QuantizeOptions& options) {
  if (options.compute == "f32" || options.compute.empty())
    ThrowOption("compute", "is ", options.compute.empty() ? "empty" : "f32",
                ", expected bf16, int8 or int4");
  Exec ex(LimitsOfThisProcess().processors);
  return QuantizeDirectory(ex, from, out, options,
                           ParseKinds(options.compute, options.compute_parts));
}

}  // namespace binocle
