// Shapes of published models, as the configuration files that say them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace binocle {

// Tokens that are no text, by id.
struct SpecialTokens {
  std::map<int64_t, std::string> tokens;
  int64_t bos = -1;  // begins every sequence; −1: nothing does
  int64_t eos = 0;
  int64_t pad = -1;
};

struct ModelPreset {
  std::string name;
  std::string about;
  Json config;      // config.json
  Json processors;  // preprocessor_config.json; null of a text model
  SpecialTokens special;

  bool text_only() const { return processors.is_null(); }
  const Json& text() const { return text_only() ? config : config["text_config"]; }
};

std::vector<ModelPreset> ModelPresets();
// Throws INVALID_ARGUMENT naming them all.
ModelPreset FindPreset(std::string_view name);

}  // namespace binocle
