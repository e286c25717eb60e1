#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "binocle/calibrate.h"
#include "core/error.h"
#include "service/engine/composite_meter.h"

namespace binocle {
namespace {

constexpr double kMaxBudget = 100;

// The plan that candidates are added to: the layers as loaded, with the aligner that they will have.
LayerPlan PlanToExtend(const ModelConfig& config, const std::optional<Aligner>& aligner) {
  LayerPlan plan = config.layers;
  if (!plan.Has(LayerKind::kStock)) {
    Throw(Code::kFailedPrecondition, config.name,
          ": every layer is composite already, expected a stock one (with attention stock the "
          "model is measured beside what it was not trained for)");
  }
  if (!aligner) return plan;
  if (plan.Has(LayerKind::kComposite) && *aligner != plan.aligner) {
    ThrowOption("aligner", "is ", AlignerName(*aligner), ", expected ", AlignerName(plan.aligner),
                ": the model's composite layers have it");
  }
  plan.aligner = *aligner;
  return plan;
}

LayerRanges CompositeOf(const LayerPlan& plan) {
  std::vector<int64_t> layers;
  for (size_t l = 0; l < plan.kinds.size(); ++l) {
    if (plan.kinds[l] == LayerKind::kComposite) layers.push_back(static_cast<int64_t>(l));
  }
  return LayerRanges::Of(layers);
}

// Measures plans and tells how far it is.
class SetMeasurements {
 public:
  SetMeasurements(const CompositeMeter& meter, const CompositeOptions& options, int64_t total)
      : meter_(meter), options_(options), total_(total) {}

  // `plan`, which has `layer` composite beside others.
  CompositeMovement Of(const LayerPlan& plan, int64_t layer) {
    const CompositeMeter::Movement m = meter_.Measure(plan);
    if (options_.on_set) options_.on_set(++done_, total_);
    return {.layer = layer,
            .movement = m.mean,
            .changed_tokens = m.changed_tokens,
            .saved = meter_.Saved(plan)};
  }

 private:
  const CompositeMeter& meter_;
  const CompositeOptions& options_;
  int64_t total_;
  int64_t done_ = 0;
};

nlohmann::ordered_json MovementsJson(const std::vector<CompositeMovement>& movements) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CompositeMovement& m : movements) {
    json.push_back({{"layer", m.layer},
                    {"movement", m.movement},
                    {"changed_tokens", m.changed_tokens},
                    {"saved", m.saved}});
  }
  return json;
}

}  // namespace

CompositeCalibration CalibrateComposite(Engine& engine, const CalibrationInput& input,
                                        const CompositeOptions& options) {
  CheckOption("budget", options.budget, 0.0, kMaxBudget);
  if (input.images.empty()) ThrowInvalid("calibrate: there is no picture, expected at least one");
  const LayerPlan own = PlanToExtend(EngineAccess(engine).loaded().model.config(), options.aligner);
  const CompositeMeter meter(engine, input);
  CompositeCalibration out{.layers = {},
                           .own_layers = CompositeOf(own),
                           .aligner = own.aligner,
                           .budget = options.budget,
                           .pictures = std::ssize(input.images),
                           .tokens = meter.tokens()};
  const int64_t stock = std::count(own.kinds.begin(), own.kinds.end(), LayerKind::kStock);
  SetMeasurements measurements(meter, options, 2 * stock - 1);  // the first joint set is one alone
  for (size_t l = 0; l < own.kinds.size(); ++l) {
    if (own.kinds[l] == LayerKind::kComposite) continue;
    LayerPlan plan = own;
    plan.kinds[l] = LayerKind::kComposite;
    out.alone.push_back(measurements.Of(plan, static_cast<int64_t>(l)));
  }

  // What layers move together is no sum of what they move alone, and need not grow with their number. So every joint set is measured,
  // and the choice among them is of the largest: a larger budget cannot lead to fewer.
  std::vector<CompositeMovement> order = out.alone;
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.movement < b.movement; });
  LayerPlan plan = own, proposal = own;
  for (const CompositeMovement& next : order) {
    plan.kinds[static_cast<size_t>(next.layer)] = LayerKind::kComposite;
    out.together.push_back(out.together.empty() ? next : measurements.Of(plan, next.layer));
    const CompositeMovement& joint = out.together.back();
    if (joint.movement > options.budget) continue;
    proposal = plan;
    out.proposed = std::ssize(out.together);
    out.movement = joint.movement;
    out.changed_tokens = joint.changed_tokens;
    out.saved = joint.saved;
  }
  out.layers = CompositeOf(proposal);
  return out;
}

std::string CompositeCalibration::Json() const {
  const nlohmann::ordered_json json = {{"layers", layers.Text()},
                                       {"aligner", AlignerName(aligner)},
                                       {"budget", budget},
                                       {"movement", movement},
                                       {"changed_tokens", changed_tokens},
                                       {"saved", saved},
                                       {"evidence",
                                        {{"pictures", pictures},
                                         {"tokens", tokens},
                                         {"own_layers", own_layers.Text()},
                                         {"proposed", proposed},
                                         {"alone", MovementsJson(alone)},
                                         {"together", MovementsJson(together)}}}};
  return json.dump() + "\n";
}

}  // namespace binocle
