// Weights changed after the softmax, from the masses of a few classes of keys.
//
// Every key belongs to one class: text or visual, sink or not. For a row and head let m_c = Σ_{j∈c} α_j and a_c = Σ_{j∈c} α_j·v_j.
// A rule turns the masses into factors for two classes, the content (visual keys that are no sinks) and the sinks, and
//
//   O' = O + (content − 1)·a_content + (sink − 1)·a_sink
//
// which is attention with the weights of these classes multiplied. a_c and m_c ride along in the same pass over the keys, with the
// same running shift, so no weight is ever stored. Derivation: attention/README.md.
#pragma once

#include <cstdint>
#include <span>

#include "core/tensor.h"

namespace binocle {

// Bits of a key's class.
inline constexpr uint8_t kVisualKey = 1;
inline constexpr uint8_t kSinkKey = 2;

struct SegmentMasses {
  float content = 0;      // m over visual keys that are no sinks
  float visual_sink = 0;  // m over visual sinks
  float text_sink = 0;    // m over the other sinks

  float visual() const { return content + visual_sink; }
  float sink() const { return visual_sink + text_sink; }
};

// Factors on the weights of a class. Both 1: the row is left alone, bit for bit.
struct SegmentGains {
  float content = 1;
  float sink = 1;
  bool operator==(const SegmentGains&) const = default;
};

// Parameters of the rules in attention/var.h.
struct VarParams {
  float p = 0;  // of the sinks' weights, what they give away
  float rho = 0;
  float mass = 0;
  float visual_keys = 0;  // how many keys are visual
};

// Classes on a GPU that found the sinks itself (llm/device_sinks.h), so that nobody waits to tell it.
struct DeviceSegments {
  const uint8_t* classes = nullptr;      // [keys], in whole pages
  const int32_t* sinks = nullptr;        // their positions, ascending
  const int32_t* sink_counts = nullptr;  // all, and the visual ones among them
  bool needs_visual_sink = false;        // without one the rule changes nothing
  // Of equal origin: equal classes over equal pages.
  uint64_t origin = 0;
};

using SegmentRule = SegmentGains (*)(const VarParams&, const SegmentMasses&);

// What one run does with its classes. Borrowed spans.
struct SegmentPolicy {
  std::span<const uint8_t> classes;           // [keys]; of the host
  const DeviceSegments* on_device = nullptr;  // where not null, what attention on a GPU goes by
  SegmentRule rule = nullptr;                 // nullptr: masses are measured and nothing changes
  VarParams params;
  TensorView
      masses;  // [T, H·3] f32 out, content | visual sink | text sink, before the rule; may be empty
};

}  // namespace binocle
