// Sinks of one sequence on a GPU: found by kernels and kept there, so that no layer waits until the host has seen them.
//
// The host knows which positions are visual and which rows are under VAR. Which keys are sinks it learns only where somebody asks (Read).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/segments.h"
#include "core/exec.h"
#include "core/tensor.h"
#include "llm/sinks.h"
#include "llm/sinks_cuda.h"

namespace binocle {

// What makes a scored token a sink, as docs/interventions.md has it.
struct SinkTest {
  float tau = 0;
  bool released = false;     // φ_released > τ instead of φ ≥ τ
  int64_t end_of_sinks = 0;  // positions from here on are none
};

class DeviceSinks {
 public:
  DeviceSinks(Exec& ex, int64_t layers, int64_t capacity);
  // For a sequence that goes its own way from here on.
  DeviceSinks Clone(Exec& ex) const;

  // `rows` scores from `first_score` on are of the positions from `first_position` on.
  cuda::SinkRange Range(const SinkTest& test, int64_t first_score, int64_t rows,
                        int64_t first_position, bool visual) const;
  // Their list, which holds until the next layer's.
  cuda::SinkListing Listing(int64_t keys) const;

  // Marks a picture that was encoded apart, in all layers. scores [L, 2n] of ScoreSinks; empty: none is a sink.
  void PutImage(Exec& ex, const SinkTest& test, const TensorView& scores, int64_t tokens,
                int64_t first_position) const;

  // For attention over `layer`, once its sinks are listed.
  DeviceSegments Segments(int64_t layer, bool needs_visual_sink) const;
  // Bits of attention/segments.h of the first `count` positions of `layer`. Waits for the device.
  std::vector<uint8_t> Read(Exec& ex, int64_t layer, int64_t count) const;

 private:
  DeviceSinks(uint64_t origin, Tensor classes, Tensor list)
      : origin_(origin), classes_(std::move(classes)), list_(std::move(list)) {}
  uint8_t* classes(int64_t layer) const;

  uint64_t origin_;
  Tensor classes_;  // [L, capacity] in whole pages
  Tensor list_;     // [2 + capacity] i32: how many, how many visual, and where
};

}  // namespace binocle
