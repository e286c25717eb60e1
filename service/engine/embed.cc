#include "service/engine/embed.h"

#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/ops/elementwise.h"

namespace binocle {
namespace {

[[noreturn]] void ThrowCancelled() { Throw(Code::kCancelled, "embedding: its caller ended it"); }

[[noreturn]] void ThrowPooling(const std::string& rest) {
  throw Error(Code::kUnimplemented, "pooling is " + rest, "pooling");
}

// mean[d] = Σ_r rows[r, d] / n
std::vector<float> MeanOf(const TensorView& rows) {
  std::vector<float> mean;
  for (int64_t d = 0; d < rows.dim(1); ++d) {
    double sum = 0;
    for (int64_t r = 0; r < rows.dim(0); ++r) sum += rows.row(r)[d];
    mean.push_back(static_cast<float>(sum / static_cast<double>(rows.dim(0))));
  }
  return mean;
}

void Normalize(std::span<float> row) {
  double squares = 0;
  for (const float x : row) squares += static_cast<double>(x) * x;
  if (squares == 0) return;
  const double scale = 1 / std::sqrt(squares);
  for (float& x : row) x = static_cast<float>(x * scale);
}

// `tokens` of the input.
Embedding EmbeddingOf(const TensorView& rows, const EmbeddingOptions& options, int64_t tokens) {
  Embedding out{.rows = 1, .width = rows.dim(1), .values = {}, .tokens = tokens};
  if (options.pooling == Pooling::kMean) {
    out.values = MeanOf(rows);
  } else {
    out.rows = rows.dim(0);
    out.values = {rows.f32(), rows.f32() + rows.elements()};
  }
  const auto width = static_cast<size_t>(out.width);
  for (size_t r = 0; options.normalize && r < static_cast<size_t>(out.rows); ++r)
    Normalize(std::span(out.values).subspan(r * width, width));
  return out;
}

// Throws UNIMPLEMENTED where the leading tower has no such output.
void CheckClassOutput(const VlmModel& model, ClassOutput output) {
  const VisionEncoder& tower = model.leading_tower();
  if (tower.Has(output)) return;
  const std::string pooling = output == ClassOutput::kLast ? "class_token" : "pooled";
  const TowerConfig& config = model.config().leading();
  if (tower.layers_run() < tower.layers()) {
    ThrowPooling(
        internal::Concat(pooling, ", expected mean or tokens: ", model.config().name, " reads its ",
                         config.type(), " after ", tower.layers_run(), " of ", tower.layers(),
                         " layers, and the last ones are not loaded (vision_feature_layer)"));
  }
  const bool no_class_token = output == ClassOutput::kLast && !config.has_class_token();
  ThrowPooling(internal::Concat(pooling, ", expected mean or tokens: ", model.config().name, "'s ",
                                config.type(),
                                no_class_token ? " has no class token" : " has no weights for it"));
}

}  // namespace

Embedding EmbedPicture(const EngineAccess& engine, const ImageInput& image,
                       const EmbeddingOptions& options, const Observer& observer) {
  const LoadedModel m = engine.loaded();
  std::optional<ClassOutput> output;
  if (options.pooling == Pooling::kClassToken) output = ClassOutput::kLast;
  if (options.pooling == Pooling::kPooled) output = ClassOutput::kPooled;
  if (output && m.model.config().takes_pictures()) CheckClassOutput(m.model, *output);
  const auto check = [&] {
    if (observer.keep_going && !observer.keep_going()) ThrowCancelled();
  };
  check();
  const ModelPixels pixels = m.images.ReadPixels(image);
  Tensor rows;
  engine.Use([&] {
    check();
    rows = output ? m.model.ClassToken(m.exec, pixels, *output) : m.images.Visual(m.exec, pixels);
    if (rows.on_cuda()) rows = ToHost(m.exec, rows);
  });
  return EmbeddingOf(rows, options, pixels.plan.tokens);
}

Embedding EmbedWords(const EngineAccess& engine, const std::string& text,
                     const EmbeddingOptions& options, const Observer& observer) {
  if (options.pooling == Pooling::kClassToken)
    ThrowPooling("class_token, expected mean, pooled or tokens: texts have no class token");
  const LoadedModel m = engine.loaded();
  ExpandedPrompt prompt = PrepareText(text, m.model, m.info.context_tokens);
  const int64_t tokens = std::ssize(prompt.ids);
  Tensor states = Tensor::F32({tokens, m.model.config().text.width}, "states");
  RequestHooks hooks;
  hooks.states = &states;
  hooks.scoring = RequestHooks::Scoring{};  // of no token: the prompt alone is computed
  const Response response =
      engine.Run(std::make_unique<PreparedRequest>(m, Request{}, std::move(prompt),
                                                   std::vector<SharedImage>()),
                 observer, std::move(hooks));
  if (response.answers[0].finish_reason == FinishReason::kCancelled) ThrowCancelled();
  const bool last = options.pooling == Pooling::kPooled;
  return EmbeddingOf(states.view().Rows(last ? tokens - 1 : 0, tokens), options, tokens);
}

}  // namespace binocle
