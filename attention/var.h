// VAR's rules: from the masses of a row and head to factors on sinks and visual content (docs/interventions.md). They differ in the test
// of a head; one that passes gets, with p what the sinks give away,
//
//   sinks × (1 − p)        content × (1 + p·m_S / m_N)
#pragma once

#include "attention/segments.h"

namespace binocle {

// Content of less mass than this gets nothing: near the end of f32 its weights have no digits left to be in proportion to.
inline constexpr float kLeastContent = 1e-30F;

// The paper's test: m_vis ≥ mass, m_N / m_vis ≥ rho and m_N > kLeastContent.
SegmentGains VarByContentShare(const VarParams& params, const SegmentMasses& m);

// The released code's: m_vis ≥ mass, m_Sv / Σ_vis (α + 1e-6) ≤ rho and m_N > kLeastContent.
SegmentGains VarBySinkShare(const VarParams& params, const SegmentMasses& m);

}  // namespace binocle
