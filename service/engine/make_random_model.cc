#include "binocle/make_random.h"
#include "core/machine.h"
#include "fusion/random/make_random.h"

namespace binocle {

std::vector<RandomPreset> RandomPresets() { return ListRandomPresets(); }

RandomModelReport MakeRandomModel(const std::string& preset, const std::string& out,
                                  const RandomModelOptions& options) {
  Exec ex(LimitsOfThisProcess().processors);
  return MakeRandom(ex, preset, out, options);
}

}  // namespace binocle
