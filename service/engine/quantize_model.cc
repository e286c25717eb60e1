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
  const KindsByName kinds = ParseKinds(options.compute, options.compute_parts);
  for (const KindsByName::Entry& entry : kinds.entries) {
    if (entry.kind == WeightKind::kBlocks)
      ThrowOption(options.compute == "blocks" ? "compute" : "compute_parts",
                  "is blocks, which are as they are stored, expected bf16, int8 or int4");
  }
  Exec ex(LimitsOfThisProcess().processors);
  return QuantizeDirectory(ex, from, out, options, kinds);
}

}  // namespace binocle
