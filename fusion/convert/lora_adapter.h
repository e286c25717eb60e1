// A LoRA adapter in PEFT's format, and what it does to a model's weights.
#pragma once

#include <filesystem>

#include "core/safetensors.h"
#include "core/weights.h"
#include "fusion/convert/lora_config.h"
#include "fusion/convert/weight_edits.h"

namespace binocle {

// Its two files, read and checked as far as they can be without the model.
class LoraAdapter {
 public:
  // Throws what ReadLoraConfig and SafetensorsFile do; UNIMPLEMENTED for an adapter saved by pickle.
  explicit LoraAdapter(const std::filesystem::path& directory);

  // Adds what the adapter does to the tensors of a model whose files spell names as `names` says. PEFT names modules as the model that
  // was trained had them: a text model's, or those of LLaVA in either naming; names of docs/model_format.md are understood too. Throws
  // INVALID_ARGUMENT with every tensor that finds no place, has another shape, is not finite or lacks its partner. `model`: its name.
  void AddEdits(const TensorSet& tensors, const NameMap& names, const std::string& model,
                WeightEdits& edits) const;

 private:
  LoraConfig config_;
  SafetensorsFile file_;
};

}  // namespace binocle
