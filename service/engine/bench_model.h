// A whole language model with random weights, with and without interventions, and with composite attention.
#pragma once

#include <cstdint>

#include "binocle/bench.h"
#include "core/exec.h"
#include "llm/llama_config.h"

namespace binocle {

// "1.1b" or "tiny".
LlamaConfig BenchShape(const std::string& name);

struct ModelBenchPlan {
  std::string shape;
  int64_t visual_tokens;
  int64_t text_tokens;
  int64_t rounds;

  // Weights, activations, keys and values.
  int64_t bytes() const;
};

ModelBench BenchModel(Exec& ex, const ModelBenchPlan& plan,
                      const std::function<void(const std::string&)>& on_step);

}  // namespace binocle
