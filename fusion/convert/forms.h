// The two forms of a model directory, as config files and names of tensors: Binocle's (docs/model_format.md) and that of
// LlavaForConditionalGeneration of transformers.
#pragma once

#include <string>
#include <vector>

#include "fusion/families.h"

namespace binocle {

// What a directory of the new form says.
struct DirectoryForm {
  std::string model_type;
  Json config;
  Json preprocessor;  // null: none
  Json processor;     // processor_config.json; null: none, or that of the old directory
  NameMap names;      // from docs/model_format.md's names to those of the new files
  std::vector<std::string> notes;  // what it does not say, a sentence each
};

// The form stays.
DirectoryForm SameForm(const ModelFiles& files, const NameMap& names);
// Throws UNIMPLEMENTED for text models.
DirectoryForm ToBinocleForm(const ModelFiles& files, const ModelConfig& config,
                            const NameMap& names);
// Throws FAILED_PRECONDITION for the first key that Hugging Face has no words for.
DirectoryForm ToHuggingFaceForm(const ModelFiles& files, const ModelConfig& config,
                                const NameMap& names);

// The name of docs/model_format.md that `names` stores as `stored`.
std::string AskedName(const NameMap& names, const std::string& stored);

// Sets the element type where the configuration tells of one.
void SetDType(DType dtype, Json& config);

}  // namespace binocle
