// What changes a model's attention or its choice of tokens, per request. Exact meaning: docs/interventions.md.
//
// Absent means off, and off is bit-identical to a run without interventions. Ranges are inclusive; a value outside them is
// INVALID_ARGUMENT. In a Response every default is filled in.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace binocle {

// Layers of the language model, 0-based, inclusive.
struct Layers {
  int64_t first = 0;
  int64_t last = 0;
  bool operator==(const Layers&) const = default;
};

// VAR: recycles the attention that sinks receive into visual content (ICLR 2025).
struct VarOptions {
  enum class Compat : uint8_t {
    kPaper,    // p is the recycled part, rho the least share of content
    kRelease,  // the published code: p is what sinks keep, rho their largest share
  };
  double p = 0.6;    // 0 … 1
  double rho = 0.5;  // 0 … 1
  // 0 … : how massive a sink's activations are. Absent: what sink_dims.json recommends for its dims, else 20.
  std::optional<double> tau;
  double mass = 0.2;             // 0 … 1: the least visual mass of a head
  std::optional<Layers> layers;  // absent: 2 to the last but one (release: to the last)
  std::vector<int64_t> dims;     // sink dimensions; empty: those known of the model
  Compat compat = Compat::kPaper;
};

// When the score changes of Modulation and Pai begin.
enum class InterventionStart : uint8_t {
  kPrefill,  // with the prompt's last row, which gives the first token
  kDecode,   // after the first token, as the released code does
};

// Hallucination modulation: raises scores of the picture's local and summary patches (arXiv 2501.12206).
struct ModulationOptions {
  enum class Heads : uint8_t {
    kUniform,
    kCalibrated,  // factors from head_sensitivity.json beside the model
  };
  double alpha = 0.7;            // −10 … 10, local and spatial patches
  double beta = 0.4;             // −10 … 10, summary patches
  double local = 0.25;           // 0 … 1: share of patches
  double spatial = 0;            // 0 … 1: share of patches
  std::optional<Layers> layers;  // absent: 2 to the last
  Heads heads = Heads::kUniform;
  InterventionStart start = InterventionStart::kPrefill;
};

// PAI: raises the scores of every visual token (ECCV 2024).
struct PaiOptions {
  double alpha = 0.2;            // −10 … 10
  std::optional<Layers> layers;  // absent: 2 to the last
  InterventionStart start = InterventionStart::kPrefill;
};

// Guidance away from what the model would say without the picture.
struct GuidanceOptions {
  double gamma = 1.1;  // −100 … 100; 1 changes nothing but the cut
  double cut = 0.1;    // 0 … 1: tokens below cut × the best probability are excluded
};

// Visual contrastive decoding (CVPR 2024): away from what the model says about a noised picture.
struct VcdOptions {
  double alpha = 1;     // −100 … 100
  double beta = 0.1;    // 0 … 1: tokens below beta × the best probability are excluded
  int64_t steps = 500;  // 0 … 999 diffusion steps of noise
};

struct Interventions {
  std::optional<VarOptions> var;
  std::optional<ModulationOptions> modulate;  // not together with pai
  std::optional<PaiOptions> pai;
  std::optional<GuidanceOptions> guidance;  // not together with vcd
  std::optional<VcdOptions> vcd;
};

}  // namespace binocle
