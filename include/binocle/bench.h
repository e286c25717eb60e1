// How fast attention and its interventions are on this machine.
//
// Contenders take turns, round after round, so that what else happens on the machine meets all of them; a ratio is formed within a
// round, and medians and quartiles are over rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/export.h"

namespace binocle {

// Over the rounds of a benchmark.
struct Spread {
  double lower = 0;  // quartile
  double median = 0;
  double upper = 0;  // quartile
};

struct AttentionBenchOptions {
  std::vector<int64_t> visual_tokens = {576, 1152, 2880};  // each 16 … 65536
  int64_t text_tokens = 64;                                // 8 … 65536, beside them
  int64_t rounds = 7;                                      // 1 … 1000
  int64_t threads = 0;                                     // 0 … 1024; 0: one per processor
  // Of the model part: "1.1b" (TinyLlama's shape with random f32 weights, 4.5 GB), "tiny" or "none".
  std::string model_shape = "1.1b";
  // Called with what comes next; may be empty.
  std::function<void(const std::string&)> on_step;
};

// One way to compute the attention of one layer. Phases: "prefill" (all rows, causal) and "decode" (the last row).
//   core            what the engine runs
//   two_pass        plain attention with whole rows of scores (attention/two_pass.h)
//   var             with sinks redistributed by every head of the text rows
//   var_all_rows    by every head of every row
//   gain            scores of visual keys changed in the last row
//   masses          visual and sink masses of the last row measured
//   map             the last row's weights in every head recomputed
struct AttentionTiming {
  std::string contender;
  std::string phase;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t visual_tokens = 0;
  int64_t text_tokens = 0;
  Spread milliseconds;
  Spread ratio;  // its time over the core's
  Spread
      flops;  // per second, 4·d per visible (row, key, head): the plain products, whatever the contender
  Spread peak_share;  // flops over the f32 rate of the same round
};

// One way to run the whole model: "plain", "watched" (a watch is attached and nothing is on), "var", "modulate", "pai", "grounding",
// "tap" (maps of one layer). The composite ones, all layers composite: "no_picture", "warm" (the picture was asked about before) and
// "cold" (through all layers first; the towers are not part of it). Phases: "prefill" and "decode", of one token.
struct ModelTiming {
  std::string contender;
  std::string phase;
  Spread milliseconds;
  Spread ratio;  // its time over "plain", or over "no_picture"
};

struct ModelBench {
  std::string shape;
  int64_t parameters = 0;
  int64_t layers = 0;
  int64_t visual_tokens = 0;
  int64_t text_tokens = 0;
  int64_t sinks = 0;  // the fewest that a layer has
  std::vector<ModelTiming> timings;
};

struct AttentionBench {
  std::string simd;  // what the kernels were compiled for, "AVX3_ZEN4"
  int64_t threads = 0;
  int64_t rounds = 0;
  Spread f32_rate;  // floating-point operations per second, registers only, all threads
  std::vector<AttentionTiming> attention;
  std::vector<ModelBench> models;  // one, or none
};

// Throws binocle::Error: INVALID_ARGUMENT for an option out of range (Error::option() names it), RESOURCE_EXHAUSTED where the machine
// has less memory than the model takes.
BINOCLE_EXPORT AttentionBench BenchAttention(const AttentionBenchOptions& options);

}  // namespace binocle
