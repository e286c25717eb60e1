// adapter_config.json of a LoRA adapter in PEFT's format.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "llm/constraint/automaton.h"

namespace binocle {

// A value for the modules whose name, or whose last parts, a regular expression of PEFT's rank_pattern or alpha_pattern matches.
struct ModulePattern {
  Automaton names;
  double value;
};

struct LoraConfig {
  static constexpr int64_t kMaxRank = 4096;
  // Which biases an adapter carries beside its matrices: PEFT's none, all, lora_only.
  enum class Biases : uint8_t { kNone, kAll, kOfMatrices };

  int64_t rank = 8;
  double alpha = 8;
  bool rank_stabilized = false;  // use_rslora
  Biases biases = Biases::kNone;
  std::vector<std::string> modules_to_save;
  std::vector<ModulePattern> ranks, alphas;  // the first that matches counts

  // `module`: "model.layers.0.self_attn.q_proj".
  int64_t RankOf(std::string_view module) const;
  double ScaleOf(std::string_view module) const;  // α/r, or α/√r
  bool IsSaved(
      std::string_view module) const;  // a whole module of modules_to_save, or a part of one
};

// Throws NOT_FOUND, INVALID_ARGUMENT, and UNIMPLEMENTED for other kinds of adapters and for variants of LoRA, by the key that says so.
LoraConfig ReadLoraConfig(const std::filesystem::path& adapter);

}  // namespace binocle
