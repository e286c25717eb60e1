// A GGUF file: a text model, which takes no pictures.
#include "core/weight_files.h"
#include "fusion/chat_template_files.h"
#include "fusion/families.h"
#include "llm/gguf_config.h"
#include "llm/tokenizer_gguf.h"

namespace binocle {

GgufModel ReadGgufModel(const std::filesystem::path& path, const ModelOverrides& overrides) {
  const auto file = std::make_shared<GgufFile>(path);
  const GgufMetadata& m = file->metadata();
  RefuseFusion(overrides, path);
  GgufModel model;
  ModelConfig& c = model.config;
  c.text = ReadGgufTextConfig(*file);
  c.family = m.String("general.architecture");
  c.name = path.stem().string();
  const Json nothing = Json::object();  // of composite attention
  c.layers = PlanLayers(JsonObject(nothing, path.string()), c.text.layers, overrides);
  ResolveConversation(ReadChatTemplate(m, path.string()), overrides, c);
  // The tokenizer knows the end of a sequence; this is the end of a turn.
  if (const char* key = "tokenizer.ggml.eot_token_id"; m.Has(key))
    c.end_tokens.push_back(static_cast<int32_t>(m.Int(key, 0, c.text.vocabulary - 1)));
  AddGgufTextTensors(file, "language_model.", model.tensors);
  model.tokenizer = MakeGgufTokenizer(m, path.string());
  return model;
}

}  // namespace binocle
