#include "service/grpc/convert_interventions.h"

#include <algorithm>
#include <optional>

namespace binocle {

int32_t Int32Of(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

namespace {

template <typename Proto>
void SetLayers(const std::optional<Layers>& layers, Proto& to) {
  if (!layers) return;
  to.mutable_layers()->set_first(Int32Of(layers->first));
  to.mutable_layers()->set_last(Int32Of(layers->last));
}

v1::InterventionStart StartOf(InterventionStart start) {
  return start == InterventionStart::kDecode ? v1::INTERVENTION_START_DECODE
                                             : v1::INTERVENTION_START_PREFILL;
}

v1::Var VarOf(const VarOptions& from) {
  v1::Var to;
  to.set_p(from.p);
  to.set_rho(from.rho);
  if (from.tau) to.set_tau(*from.tau);
  to.set_mass(from.mass);
  SetLayers(from.layers, to);
  for (const int64_t dim : from.dims) to.add_dims(Int32Of(dim));
  to.set_compat(from.compat == VarOptions::Compat::kRelease ? v1::VAR_COMPAT_RELEASE
                                                            : v1::VAR_COMPAT_PAPER);
  return to;
}

v1::Modulate ModulateOf(const ModulationOptions& from) {
  v1::Modulate to;
  to.set_alpha(from.alpha);
  to.set_beta(from.beta);
  to.set_local(from.local);
  to.set_spatial(from.spatial);
  SetLayers(from.layers, to);
  to.set_heads(from.heads == ModulationOptions::Heads::kCalibrated ? v1::MODULATION_HEADS_CALIBRATED
                                                                   : v1::MODULATION_HEADS_UNIFORM);
  to.set_start(StartOf(from.start));
  return to;
}

}  // namespace

v1::Interventions InterventionsToProto(const Interventions& from) {
  v1::Interventions to;
  if (from.var) *to.mutable_var() = VarOf(*from.var);
  if (from.modulate) *to.mutable_modulate() = ModulateOf(*from.modulate);
  if (from.pai) {
    to.mutable_pai()->set_alpha(from.pai->alpha);
    SetLayers(from.pai->layers, *to.mutable_pai());
    to.mutable_pai()->set_start(StartOf(from.pai->start));
  }
  if (from.guidance) {
    to.mutable_guidance()->set_gamma(from.guidance->gamma);
    to.mutable_guidance()->set_cut(from.guidance->cut);
  }
  if (from.vcd) {
    to.mutable_vcd()->set_alpha(from.vcd->alpha);
    to.mutable_vcd()->set_beta(from.vcd->beta);
    to.mutable_vcd()->set_steps(Int32Of(from.vcd->steps));
  }
  return to;
}

}  // namespace binocle
