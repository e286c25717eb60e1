#include "attention/var.h"

namespace binocle {
namespace {

// p of the sinks' mass goes to the content, in proportion to the weights there.
SegmentGains Redistribute(float p, const SegmentMasses& m) {
  return {.content = 1 + p * m.sink() / m.content, .sink = 1 - p};
}

}  // namespace

SegmentGains VarByContentShare(const VarParams& params, const SegmentMasses& m) {
  const bool looks_at_picture = m.visual() >= params.mass;
  const bool image_centric = m.content >= params.rho * m.visual();
  if (!looks_at_picture || !image_centric || !(m.content > kLeastContent)) return {};
  return Redistribute(params.p, m);
}

SegmentGains VarBySinkShare(const VarParams& params, const SegmentMasses& m) {
  const bool looks_at_picture = m.visual() >= params.mass;
  const float visual = m.visual() + 1e-6F * params.visual_keys;
  const bool image_centric = m.visual_sink <= params.rho * visual;
  if (!looks_at_picture || !image_centric || !(m.content > kLeastContent)) return {};
  return Redistribute(params.p, m);
}

}  // namespace binocle
