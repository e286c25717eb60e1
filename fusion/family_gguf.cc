// A GGUF file: a text model, which takes pictures where a projector file comes with it.
#include "core/weight_files.h"
#include "fusion/chat_template_files.h"
#include "fusion/families.h"
#include "fusion/gguf_projector.h"
#include "llm/gguf_config.h"
#include "llm/tokenizer_gguf.h"

namespace binocle {
namespace {

// The id that a vocabulary without a token for pictures leaves to them, as LLaVA does.
constexpr int32_t kImageToken = -200;

void AddProjector(const std::filesystem::path& path, const ModelOverrides& overrides,
                  GgufModel& model) {
  if (overrides.fusion && *overrides.fusion != FusionType::kAnchor) {
    ThrowOption("fusion", "is ", FusionTypeName(*overrides.fusion),
                ", expected anchor: ", path.string(), " has one tower");
  }
  const auto file = std::make_shared<GgufFile>(path);
  ReadGgufProjector(*file, model.config.text.width, model.config);
  AddGgufProjectorTensors(file, model.tensors);
  model.config.image_token = kImageToken;
  model.config.conversation = ConversationStyle::kVicunaV1;
}

}  // namespace

GgufModel ReadGgufModel(const std::filesystem::path& path, const ModelOverrides& overrides) {
  const auto file = std::make_shared<GgufFile>(path);
  const GgufMetadata& m = file->metadata();
  if (!overrides.projector) RefuseFusion(overrides, path);
  GgufModel model;
  ModelConfig& c = model.config;
  c.text = ReadGgufTextConfig(*file);
  c.family = m.String("general.architecture");
  c.name = path.stem().string();
  const Json nothing = Json::object();  // of composite attention
  c.layers = PlanLayers(JsonObject(nothing, path.string()), c.text.layers, overrides);
  // The tokenizer knows the end of a sequence; this is the end of a turn.
  if (const char* key = "tokenizer.ggml.eot_token_id"; m.Has(key))
    c.end_tokens.push_back(static_cast<int32_t>(m.Int(key, 0, c.text.vocabulary - 1)));
  AddGgufTextTensors(file, "language_model.", model.tensors);
  if (overrides.projector) AddProjector(*overrides.projector, overrides, model);
  ResolveConversation(ReadChatTemplate(m, path.string()), overrides, c);
  model.tokenizer = MakeGgufTokenizer(m, path.string());
  return model;
}

}  // namespace binocle
