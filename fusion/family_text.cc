// Text models, which take no pictures: the …ForCausalLM of transformers whose model_type llm/llm_config.cc knows.
#include "fusion/families.h"
#include "llm/llm_config.h"

namespace binocle {

ModelConfig ParseTextFamily(const ModelFiles& files, const ModelOverrides& overrides) {
  RefuseFusion(overrides, files.directory);
  ModelConfig c;
  c.family = files.config.String("model_type");
  c.name = files.name();
  c.text = ParseTextConfig(files.config);
  c.layers = PlanLayers(files.config, c.text.layers, overrides);
  return c;
}

NameMap TextNames(const TensorSet&) {
  return {{{"language_model.model.", "model."}, {"language_model.lm_head.", "lm_head."}}};
}

}  // namespace binocle
