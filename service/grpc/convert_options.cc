#include "service/grpc/convert_options.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "service/common/text.h"
#include "service/grpc/field_checks.h"

namespace binocle {
namespace {

constexpr int kMaxDims = 4096;
constexpr int kMaxStops = 64;
constexpr int kMaxChoices = 1024;
constexpr size_t kMaxChoice = 1024;
constexpr size_t kMaxGrammar = 65536;

// Sets an option and checks it alone, with CheckOptions, which knows the ranges.
class GenerationChecks {
 public:
  GenerationChecks(GenerationOptions& options, Violations& violations)
      : options_(options), violations_(violations) {}

  template <typename Value, typename Member>
  void Take(const char* path, const std::optional<Value>& value, Member GenerationOptions::*member,
            std::optional<int64_t> vocabulary = {}) {
    if (!value) return;
    GenerationOptions alone;
    alone.*member = static_cast<Member>(*value);
    Check(path, alone, vocabulary);
    options_.*member = static_cast<Member>(*value);
  }

  void Check(const std::string& path, const GenerationOptions& alone,
             std::optional<int64_t> vocabulary = {}) {
    try {
      CheckOptions(alone, vocabulary);
    } catch (const Error& error) {
      violations_.Add(path, error);
    }
  }

 private:
  GenerationOptions& options_;
  Violations& violations_;
};

InterventionStart StartOf(v1::InterventionStart start, FieldChecks& checks) {
  checks.Known("start", v1::InterventionStart_IsValid(start), start);
  return start == v1::INTERVENTION_START_DECODE ? InterventionStart::kDecode
                                                : InterventionStart::kPrefill;
}

VarOptions VarOf(const v1::Var& from, Violations& violations) {
  FieldChecks checks("interventions.var", violations);
  VarOptions var;
  checks.Take("p", If(from.has_p(), from.p()), {0, 1}, var.p);
  checks.Take("rho", If(from.has_rho(), from.rho()), {0, 1}, var.rho);
  checks.Take("tau", If(from.has_tau(), from.tau()), {0, 1e6}, var.tau);
  checks.Take("mass", If(from.has_mass(), from.mass()), {0, 1}, var.mass);
  if (from.has_layers()) var.layers = LayersOf(from.layers(), checks.PathOf("layers"), violations);
  if (from.dims_size() > kMaxDims)
    checks.Add("dims", Text("has ", from.dims_size(), " entries, expected at most ", kMaxDims));
  for (int i = 0; i < std::min(from.dims_size(), kMaxDims); ++i) {
    if (from.dims(i) < 0)
      checks.Add(Text("dims[", i, "]"), Text("is ", from.dims(i), ", expected 0 and up"));
    var.dims.push_back(from.dims(i));
  }
  checks.Known("compat", v1::VarCompat_IsValid(from.compat()), from.compat());
  if (from.compat() == v1::VAR_COMPAT_RELEASE) var.compat = VarOptions::Compat::kRelease;
  return var;
}

ModulationOptions ModulateOf(const v1::Modulate& from, Violations& violations) {
  FieldChecks checks("interventions.modulate", violations);
  ModulationOptions modulate;
  checks.Take("alpha", If(from.has_alpha(), from.alpha()), {-10, 10}, modulate.alpha);
  checks.Take("beta", If(from.has_beta(), from.beta()), {-10, 10}, modulate.beta);
  checks.Take("local", If(from.has_local(), from.local()), {0, 1}, modulate.local);
  checks.Take("spatial", If(from.has_spatial(), from.spatial()), {0, 1}, modulate.spatial);
  if (from.has_layers())
    modulate.layers = LayersOf(from.layers(), checks.PathOf("layers"), violations);
  checks.Known("heads", v1::ModulationHeads_IsValid(from.heads()), from.heads());
  if (from.heads() == v1::MODULATION_HEADS_CALIBRATED)
    modulate.heads = ModulationOptions::Heads::kCalibrated;
  modulate.start = StartOf(from.start(), checks);
  return modulate;
}

PaiOptions PaiOf(const v1::Pai& from, Violations& violations) {
  FieldChecks checks("interventions.pai", violations);
  PaiOptions pai;
  checks.Take("alpha", If(from.has_alpha(), from.alpha()), {-10, 10}, pai.alpha);
  if (from.has_layers()) pai.layers = LayersOf(from.layers(), checks.PathOf("layers"), violations);
  pai.start = StartOf(from.start(), checks);
  return pai;
}

GuidanceOptions GuidanceOf(const v1::Guidance& from, Violations& violations) {
  FieldChecks checks("interventions.guidance", violations);
  GuidanceOptions guidance;
  checks.Take("gamma", If(from.has_gamma(), from.gamma()), {-100, 100}, guidance.gamma);
  checks.Take("cut", If(from.has_cut(), from.cut()), {0, 1}, guidance.cut);
  return guidance;
}

VcdOptions VcdOf(const v1::Vcd& from, Violations& violations) {
  FieldChecks checks("interventions.vcd", violations);
  VcdOptions vcd;
  checks.Take("alpha", If(from.has_alpha(), from.alpha()), {-100, 100}, vcd.alpha);
  checks.Take("beta", If(from.has_beta(), from.beta()), {0, 1}, vcd.beta);
  checks.Take("steps", If(from.has_steps(), from.steps()), {0, 999}, vcd.steps);
  return vcd;
}

void CheckLength(const std::string& text, size_t most, const std::string& path,
                 Violations& violations) {
  if (text.empty()) {
    violations.Add(path, "is empty, expected at least one character");
  } else if (text.size() > most) {
    violations.Add(path, Text("has ", text.size(), " bytes, expected at most ", most));
  }
}

Choices ChoicesOf(const v1::Choices& from, Violations& violations) {
  const int count = from.values_size();
  if (count < 1 || count > kMaxChoices) {
    violations.Add("constraint.choices.values",
                   Text("has ", count, " texts, expected 1 to ", kMaxChoices));
    return {};
  }
  Choices choices;
  for (int i = 0; i < count; ++i) {
    CheckLength(from.values(i), kMaxChoice, Text("constraint.choices.values[", i, "]"), violations);
    choices.values.push_back(from.values(i));
  }
  return choices;
}

}  // namespace

GenerationOptions GenerationOf(const v1::Sampling& from, Violations& violations) {
  GenerationOptions options;
  GenerationChecks checks(options, violations);
  using Options = GenerationOptions;
  checks.Take("sampling.max_new_tokens", If(from.has_max_new_tokens(), from.max_new_tokens()),
              &Options::max_new_tokens);
  checks.Take("sampling.temperature", If(from.has_temperature(), from.temperature()),
              &Options::temperature);
  checks.Take("sampling.top_k", If(from.has_top_k(), from.top_k()), &Options::top_k);
  checks.Take("sampling.top_p", If(from.has_top_p(), from.top_p()), &Options::top_p);
  checks.Take("sampling.min_p", If(from.has_min_p(), from.min_p()), &Options::min_p);
  checks.Take("sampling.repetition_penalty",
              If(from.has_repetition_penalty(), from.repetition_penalty()),
              &Options::repetition_penalty);
  checks.Take("sampling.seed", If(from.has_seed(), from.seed()), &Options::seed);
  checks.Take("sampling.n", If(from.has_n(), from.n()), &Options::n);
  if (from.stop_size() > kMaxStops) {
    violations.Add("sampling.stop",
                   Text("has ", from.stop_size(), " texts, expected at most ", kMaxStops));
  }
  for (int i = 0; i < std::min(from.stop_size(), kMaxStops); ++i) {
    GenerationOptions alone;
    alone.stop = {from.stop(i)};
    checks.Check(Text("sampling.stop[", i, "]"), alone);
    options.stop.push_back(from.stop(i));
  }
  return options;
}

int64_t LogprobsOf(int64_t logprobs, int64_t vocabulary, Violations& violations) {
  GenerationOptions options;
  GenerationChecks(options, violations)
      .Take("logprobs", std::optional(logprobs), &GenerationOptions::logprobs, vocabulary);
  return logprobs;
}

Layers LayersOf(const v1::Layers& from, const std::string& path, Violations& violations) {
  FieldChecks checks(path, violations);
  if (!from.has_first()) checks.Add("first", "is not set, expected a layer");
  if (!from.has_last()) checks.Add("last", "is not set, expected a layer");
  if (!from.has_first() || !from.has_last()) return {};
  if (from.first() < 0) checks.Add("first", Text("is ", from.first(), ", expected 0 and up"));
  if (from.last() < from.first())
    checks.Add("last", Text("is ", from.last(), ", expected first, ", from.first(), ", and up"));
  return {.first = from.first(), .last = from.last()};
}

Interventions InterventionsOf(const v1::Interventions& from, Violations& violations) {
  Interventions to;
  if (from.has_var()) to.var = VarOf(from.var(), violations);
  if (from.has_modulate()) to.modulate = ModulateOf(from.modulate(), violations);
  if (from.has_pai()) to.pai = PaiOf(from.pai(), violations);
  if (from.has_guidance()) to.guidance = GuidanceOf(from.guidance(), violations);
  if (from.has_vcd()) to.vcd = VcdOf(from.vcd(), violations);
  if (to.modulate && to.pai) {
    violations.Add("interventions.modulate",
                   "and pai change the same scores, expected one of them");
  }
  if (to.guidance && to.vcd) {
    violations.Add("interventions.guidance",
                   "and vcd both pair the sequence with another, expected one of them");
  }
  return to;
}

Constraint ConstraintOf(const v1::Constraint& from, Violations& violations) {
  switch (from.kind_case()) {
    case v1::Constraint::kChoices: return ChoicesOf(from.choices(), violations);
    case v1::Constraint::kRegex:
      CheckLength(from.regex(), kMaxGrammar, "constraint.regex", violations);
      return Regex{from.regex()};
    case v1::Constraint::kJsonSchema:
      CheckLength(from.json_schema(), kMaxGrammar, "constraint.json_schema", violations);
      return JsonSchema{from.json_schema()};
    case v1::Constraint::KIND_NOT_SET:
      violations.Add("constraint", "has no kind, expected one of choices, regex, json_schema");
  }
  return {};
}

// Of ranges that are none the fault is told and nothing else looked for.
LayerRanges CompositeLayersOf(const v1::Attention& from, const std::string& path,
                              Violations& violations) {
  const size_t faults = violations.count();
  std::vector<Layers> ranges;
  for (int i = 0; i < from.composite_layers_size(); ++i)
    ranges.push_back(LayersOf(from.composite_layers(i), Text(path, "[", i, "]"), violations));
  if (violations.count() > faults) return {};
  try {
    return LayerRanges(std::move(ranges), "composite_layers");
  } catch (const Error& error) {
    violations.Add(path, error);
    return {};
  }
}

AttentionOptions AttentionOf(const v1::Attention& from, Violations& violations) {
  FieldChecks checks("attention", violations);
  AttentionOptions to;
  checks.Known("kind", v1::AttentionKind_IsValid(from.kind()), from.kind());
  if (from.kind() == v1::ATTENTION_KIND_STOCK) to.kind = AttentionKind::kStock;
  if (from.kind() == v1::ATTENTION_KIND_COMPOSITE) to.kind = AttentionKind::kComposite;
  checks.Known("aligner", v1::Aligner_IsValid(from.aligner()), from.aligner());
  if (from.aligner() == v1::ALIGNER_NONE) to.aligner = Aligner::kNone;
  if (from.aligner() == v1::ALIGNER_VO) to.aligner = Aligner::kVo;
  if (from.aligner() == v1::ALIGNER_VO_FFN) to.aligner = Aligner::kVoFfn;
  if (from.composite_layers_size() > 0)
    to.composite_layers = CompositeLayersOf(from, checks.PathOf("composite_layers"), violations);
  if (to.kind == AttentionKind::kStock && to.composite_layers)
    checks.Add("composite_layers", "goes with kind composite, and kind is stock");
  if (to.kind == AttentionKind::kStock && to.aligner)
    checks.Add("aligner", "goes with kind composite, and kind is stock");
  return to;
}

}  // namespace binocle
