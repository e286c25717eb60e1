#include "binocle/convert.h"
#include "core/machine.h"
#include "fusion/convert/convert.h"

namespace binocle {

ConvertReport ConvertModel(const std::string& from, const std::string& out,
                           const ConvertOptions& options) {
  Exec ex(LimitsOfThisProcess().processors);
  return ConvertDirectory(ex, from, out, options);
}

}  // namespace binocle
