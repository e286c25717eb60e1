#include "cli/attention_flags.h"

#include "cli/commands.h"
#include "cli/flags.h"

namespace binocle::cli {

void AttentionFlags::Add(CLI::App& command) {
  const auto add = [&](const char* option, std::string& value, const char* what) {
    command.add_option(option, value, what)->check(NotEmpty(option, "a value"))->group("Attention");
  };
  add("--attention", attention, "stock or composite (default: as the model was loaded)");
  add("--composite-layers", composite_layers, "layers with composite attention, e.g. 0-3,7,12-15");
  add("--aligner", aligner, "vo, vo_ffn or none");
}

AttentionOptions AttentionFlags::Get() const {
  AttentionOptions options;
  if (attention == "stock") {
    options.kind = AttentionKind::kStock;
  } else if (attention == "composite") {
    options.kind = AttentionKind::kComposite;
  } else if (!attention.empty()) {
    throw UsageError{"--attention is " + attention + ", expected stock or composite"};
  }
  if (!composite_layers.empty())
    options.composite_layers = LayerRanges::Parse(composite_layers, "composite_layers");
  if (aligner == "vo") {
    options.aligner = Aligner::kVo;
  } else if (aligner == "vo_ffn") {
    options.aligner = Aligner::kVoFfn;
  } else if (aligner == "none") {
    options.aligner = Aligner::kNone;
  } else if (!aligner.empty()) {
    throw UsageError{"--aligner is " + aligner + ", expected vo, vo_ffn or none"};
  }
  return options;
}

}  // namespace binocle::cli
