#include "service/engine/intervention_plan.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>

#include "core/json.h"
#include "core/mapped_file.h"

namespace binocle {
namespace {

// INVALID_ARGUMENT about one value of an intervention: "var.p is 2, expected 0 to 1".
template <typename... Parts>
[[noreturn]] void ThrowValue(const char* intervention, const char* key, const Parts&... rest) {
  throw Error(Code::kInvalidArgument, internal::Concat(intervention, ".", key, " ", rest...),
              intervention);
}

struct Value {
  const char* key;
  double value, low, high;
};

void CheckValues(const char* intervention, std::initializer_list<Value> values) {
  for (const auto& [key, value, low, high] : values) {
    if (!(value >= low && value <= high))
      ThrowValue(intervention, key, "is ", value, ", expected ", low, " to ", high);
  }
}

// `layers`, or the default, within the model.
Layers LayersOr(const char* option, const std::optional<Layers>& layers, Layers fallback,
                int64_t count) {
  const Layers chosen = layers.value_or(fallback);
  if (chosen.first < 0 || chosen.last >= count || chosen.first > chosen.last) {
    ThrowValue(option, "layers", "is ", chosen.first, "-", chosen.last, layers ? "" : " by default",
               ", expected first-last within 0-", count - 1);
  }
  return chosen;
}

// Whether these are the dimensions that sink_dims.json, whose tau goes with them, has: as they are, in any order, or by default.
bool IsCalibrated(const std::vector<int64_t>& dims, const AttentionCalibration& calibration) {
  return dims.empty() ||
         std::set<int64_t>(dims.begin(), dims.end()) ==
             std::set<int64_t>(calibration.sink_dims.begin(), calibration.sink_dims.end());
}

const VarForm& FormOf(const VarOptions& v) {
  return v.compat == VarOptions::Compat::kRelease ? kReleasedForm : kPaperForm;
}

VarOptions Resolve(VarOptions v, const LlamaConfig& c, const AttentionCalibration& calibration) {
  if (!v.tau) v.tau = IsCalibrated(v.dims, calibration) ? calibration.sink_tau : kDefaultTau;
  CheckValues(
      "var",
      {{"p", v.p, 0, 1}, {"rho", v.rho, 0, 1}, {"tau", *v.tau, 0, 1e6}, {"mass", v.mass, 0, 1}});
  const int64_t last = FormOf(v).last_layer ? c.layers - 1 : c.layers - 2;
  v.layers = LayersOr("var", v.layers, {2, last}, c.layers);
  if (v.dims.empty()) v.dims.assign(calibration.sink_dims.begin(), calibration.sink_dims.end());
  if (v.dims.empty()) {
    throw Error(Code::kFailedPrecondition,
                "var.dims is empty, and the sink dimensions of this language model are not known: "
                "expected dims=…, or sink_dims.json beside the model (binocle calibrate sinks)",
                "var");
  }
  for (const int64_t d : v.dims) {
    if (d < 0 || d >= c.width)
      ThrowValue("var", "dims", "has ", d, ", expected 0 to ", c.width - 1);
  }
  // A set: in one order, so that equal ones are seen to be equal.
  std::sort(v.dims.begin(), v.dims.end());
  v.dims.erase(std::unique(v.dims.begin(), v.dims.end()), v.dims.end());
  return v;
}

ModulationOptions Resolve(ModulationOptions m, const LlamaConfig& c,
                          const AttentionCalibration& calibration) {
  CheckValues("modulate", {{"alpha", m.alpha, -10, 10},
                           {"beta", m.beta, -10, 10},
                           {"local", m.local, 0, 1},
                           {"spatial", m.spatial, 0, 1}});
  m.layers = LayersOr("modulate", m.layers, {2, c.layers - 1}, c.layers);
  if (m.heads == ModulationOptions::Heads::kCalibrated && calibration.head_sensitivity.empty()) {
    throw Error(Code::kFailedPrecondition,
                "modulate.heads is calibrated, and there is no head_sensitivity.json beside the "
                "model (binocle calibrate heads)",
                "modulate");
  }
  return m;
}

PaiOptions Resolve(PaiOptions p, const LlamaConfig& c) {
  CheckValues("pai", {{"alpha", p.alpha, -10, 10}});
  p.layers = LayersOr("pai", p.layers, {2, c.layers - 1}, c.layers);
  return p;
}

LayerRange RangeOf(const std::optional<Layers>& layers) { return {layers->first, layers->last}; }

void ReadSinkDims(const CheckedModel& model, AttentionCalibration& out) {
  const LlamaConfig& c = model.config().text;
  const auto path = model.directory() / "sink_dims.json";
  if (!IsThere(path)) {
    out.sink_dims = KnownSinkDims(c);
    std::sort(out.sink_dims.begin(), out.sink_dims.end());
    return;
  }
  const Json json = ReadJsonFile(path);
  const JsonObject object(json, path.string());
  std::set<int32_t> dims;
  for (const double d : object.Numbers("dims")) {
    if (!(d >= 0 && d < static_cast<double>(c.width)) || d != std::floor(d))
      object.Fail("dims", "integers from 0 to " + std::to_string(c.width - 1));
    dims.insert(static_cast<int32_t>(d));
  }
  out.sink_dims.assign(dims.begin(), dims.end());
  if (object.Has("width") && object.Int("width", 1, INT64_MAX) != c.width)
    object.Fail("width", std::to_string(c.width) + ", the model's");
  out.sink_tau = object.NumberOr("tau", kDefaultTau, 0, 1e6);
}

std::vector<float> ReadHeadSensitivity(const CheckedModel& model) {
  const LlamaConfig& c = model.config().text;
  const auto path = model.directory() / "head_sensitivity.json";
  if (!IsThere(path)) return {};
  const Json json = ReadJsonFile(path);
  const JsonObject object(json, path.string());
  std::vector<float> factors;
  for (const double f : object.Numbers("factors")) {
    if (!(f >= -100 && f <= 100)) object.Fail("factors", "numbers from -100 to 100");
    factors.push_back(static_cast<float>(f));
  }
  const int64_t heads = c.share.ranks * c.heads;  // of all ranks
  if (std::ssize(factors) != c.layers * heads) {
    object.Fail("factors", std::to_string(c.layers * heads) + " numbers (" +
                               std::to_string(c.layers) + " layers of " + std::to_string(heads) +
                               " heads)");
  }
  return factors;
}

}  // namespace

AttentionCalibration ReadCalibration(const CheckedModel& model) {
  AttentionCalibration calibration{.head_sensitivity = ReadHeadSensitivity(model)};
  ReadSinkDims(model, calibration);
  return calibration;
}

Interventions ResolveInterventions(const Interventions& asked, const LlamaConfig& config,
                                   const AttentionCalibration& calibration, int64_t images) {
  Interventions i = asked;
  if (i.var) i.var = Resolve(*i.var, config, calibration);
  if (i.modulate) i.modulate = Resolve(*i.modulate, config, calibration);
  if (i.pai) i.pai = Resolve(*i.pai, config);
  if (i.guidance) {
    CheckValues("guidance",
                {{"gamma", i.guidance->gamma, -100, 100}, {"cut", i.guidance->cut, 0, 1}});
  }
  if (i.vcd) {
    CheckValues("vcd", {{"alpha", i.vcd->alpha, -100, 100},
                        {"beta", i.vcd->beta, 0, 1},
                        {"steps", static_cast<double>(i.vcd->steps), 0, 999}});
  }
  if (i.modulate && i.pai)
    ThrowOption("modulate", "and pai change the same scores, expected one of them");
  if (i.guidance && i.vcd)
    ThrowOption("guidance", "and vcd both pair the sequence with another, expected one of them");
  if (images == 0 && (i.guidance || i.vcd))
    ThrowOption(i.guidance ? "guidance" : "vcd", "needs a picture, the request has none");
  return i;
}

WatchPlan PlanWatch(const Interventions& resolved, const LlamaConfig& config,
                    const AttentionCalibration& calibration, bool grounding) {
  WatchPlan plan;
  if (const auto& v = resolved.var) {
    const VarForm& form = FormOf(*v);
    plan.dims.assign(v->dims.begin(), v->dims.end());
    plan.tau = static_cast<float>(*v->tau);
    const auto p = static_cast<float>(v->p);
    const float given_away = form.p_is_kept ? 1 - p : p;
    if (given_away != 0) {
      plan.var = VarPlan{.form = form,
                         .params = {.p = given_away,
                                    .rho = static_cast<float>(v->rho),
                                    .mass = static_cast<float>(v->mass)},
                         .layers = RangeOf(v->layers)};
    }
  }
  if (const auto& m = resolved.modulate; m && (m->alpha != 0 || m->beta != 0)) {
    plan.gain = GainPlan{.layers = RangeOf(m->layers),
                         .from_decode = m->start == InterventionStart::kDecode,
                         .key_gain = {},
                         .head_factor = {}};
    if (m->heads == ModulationOptions::Heads::kCalibrated)
      plan.gain->head_factor = calibration.head_sensitivity;
  }
  if (const auto& p = resolved.pai; p && p->alpha != 0) {
    plan.gain = GainPlan{.layers = RangeOf(p->layers),
                         .from_decode = p->start == InterventionStart::kDecode,
                         .key_gain = {},
                         .head_factor = {}};
  }
  if (grounding) {
    plan.measure = LayerRange{0, config.layers - 1};
    if (plan.dims.empty()) {
      plan.dims = calibration.sink_dims;
      plan.tau = static_cast<float>(calibration.sink_tau);
    }
  }
  return plan;
}

SinkDims SinkDimsOf(const Interventions& resolved, const AttentionCalibration& calibration) {
  if (!resolved.var) return calibration.sink_dims;
  return {resolved.var->dims.begin(), resolved.var->dims.end()};
}

ImageCentric ImageCentricOf(const Interventions& resolved) {
  const auto& var = resolved.var;
  const VarOptions tests = var && var->compat == VarOptions::Compat::kPaper ? *var : VarOptions{};
  return {.mass = tests.mass, .rho = tests.rho};
}

std::vector<float> KeyGains(const Interventions& resolved, const ExpandedPrompt& prompt,
                            std::span<const PatchAttention* const> attention,
                            const PatchPlaces& places) {
  std::vector<float> gains(prompt.ids.size());
  const auto at = [&](const ImageSpan& image, int64_t token) -> float& {
    return gains[static_cast<size_t>(image.first_position + token)];
  };
  for (const ImageSpan& image : prompt.images) {
    if (resolved.pai) {
      for (int64_t t = 0; t < image.tokens; ++t)
        at(image, t) = static_cast<float>(resolved.pai->alpha);
      continue;
    }
    const ModulationOptions& m = *resolved.modulate;
    const PatchAttention& looked = *attention[static_cast<size_t>(image.image)];
    if (looked.patches() == 0) {
      throw Error(Code::kFailedPrecondition,
                  "modulate goes by how the leading tower's layers attend, and its features are "
                  "read before "
                  "the first of them (vision_feature_layer)",
                  "modulate");
    }
    const TokenSets sets = SelectTokens(looked, m.local, m.spatial);
    const auto give = [&](const std::vector<int64_t>& patches, double gain) {
      for (const int64_t patch : patches) {
        if (const int64_t token = places.TokenOf(patch); token >= 0)
          at(image, token) = static_cast<float>(gain);
      }
    };
    give(sets.boosted, m.alpha);
    give(sets.summary, m.beta);
  }
  return gains;
}

}  // namespace binocle
