// LlamaForCausalLM of transformers: a text model, which takes no pictures.
#include "fusion/families.h"
#include "llm/llm_config.h"

namespace binocle {

ModelConfig ParseLlamaFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  if (overrides.fusion) {
    ThrowOption("fusion", "is ", FusionTypeName(*overrides.fusion),
                ", expected none: ", files.directory.string(), " is a text model");
  }
  ModelConfig c;
  c.family = "llama";
  c.name = files.name();
  c.text = ParseLlamaConfig(files.config);
  c.layers = PlanLayers(files.config, c.text.layers, overrides);
  return c;
}

NameMap LlamaNames(const TensorSet&) {
  return {{{"language_model.model.", "model."}, {"language_model.lm_head.", "lm_head."}}};
}

}  // namespace binocle
