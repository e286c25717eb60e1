#include "service/engine/composite_meter.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/error.h"
#include "core/ops/elementwise.h"
#include "service/engine/visual_work.h"

namespace binocle {
namespace {

// ln Σ exp.
double LogOfSum(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

int32_t MostProbable(std::span<const float> logits, int32_t usable) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.begin() + usable) -
                              logits.begin());
}

}  // namespace

// Σ p·(e^−d − 1 + d) with d = ln p − ln q: Σ (q − p) is 0, and no term is below 0, so that small divergences do not drown in the rounding
// of terms that cancel.
double KlDivergence(std::span<const float> from, std::span<const float> to) {
  BINOCLE_CHECK(from.size() == to.size(), from.size(), " and ", to.size());
  const double of_from = LogOfSum(from), of_to = LogOfSum(to);
  double sum = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const double log_p = from[i] - of_from, log_q = to[i] - of_to;
    const double d = log_p - log_q, p = std::exp(log_p);
    sum += std::abs(d) < 1 ? p * (std::expm1(-d) + d) : std::exp(log_q) + p * (d - 1);
  }
  return std::max(sum, 0.0);
}

CompositeMeter::CompositeMeter(Engine& engine, const CalibrationInput& input) : engine_(engine) {
  for (const ImageInput& image : input.images) {
    asked_.push_back(Ask(input, image));
    tokens_ += std::ssize(asked_.back().answer);
    if (input.on_picture) input.on_picture(std::ssize(asked_));
  }
}

// The answer's picture has a serial of its own: what the prefix index keeps of the answer is under the engine's layers, and must not be
// taken for what other layers make of the picture.
CompositeMeter::Asked CompositeMeter::Ask(const CalibrationInput& input,
                                          const ImageInput& image) const {
  const LoadedModel m = engine_.loaded();
  Request request = binocle::Ask(input.prompt, {image});
  request.generation.max_new_tokens = input.max_new_tokens;
  CheckOptions(request.generation);
  RenderedPrompt rendered = RenderPrompt(request, m.model);
  const ModelPixels pixels = m.images.ReadPixels(image);
  PreparedPrompt prompt =
      ExpandRendered(std::move(rendered), m.model, {&pixels.plan.tokens, 1}, m.info.context_tokens);
  auto own = std::make_shared<EncodedImage>(), other = std::make_shared<EncodedImage>();
  engine_.Use([&] {
    own->visual = m.images.Visual(m.exec, pixels);
    other->visual = CopyOf(m.exec, own->visual);
  });

  Asked asked{.prompt = prompt.expanded, .image = std::move(other), .answer = {}, .logits = {}};
  RequestHooks hooks;
  hooks.logits = [&](std::span<const float> row) {
    asked.logits.emplace_back(row.begin(), row.end());
  };
  auto prepared = std::make_unique<PreparedRequest>(m, std::move(request), asked.prompt,
                                                    std::vector<SharedImage>{std::move(own)});
  prepared->prompt.stops = std::move(prompt.stops);
  asked.answer = engine_.Run(std::move(prepared), {}, std::move(hooks)).answers[0].token_ids;
  BINOCLE_CHECK(asked.answer.size() == asked.logits.size(), asked.logits.size());
  return asked;
}

// The picture as sequences under `plan` have it.
SharedImage CompositeMeter::For(const LayerPlan& plan, const SharedImage& image) const {
  if (!plan.images_stand_alone()) return image;
  auto alone = std::make_shared<EncodedImage>();
  engine_.Use([&] {
    const ForwardContext c = engine_.loaded().forward();
    c.decoder.EncodeImage(c.ex, {.visual = image->visual, .aligner = plan.aligner}, {},
                          c.activations, alone->kv.emplace());
  });
  return alone;
}

CompositeMeter::Movement CompositeMeter::Measure(const LayerPlan& plan) const {
  const LoadedModel m = engine_.loaded();
  const int32_t usable = m.model.tokenizer().vocabulary_size();
  Movement movement;
  std::vector<double> sums;  // by picture
  for (const Asked& asked : asked_) {
    auto prepared = std::make_unique<PreparedRequest>(
        m, Request{}, asked.prompt, std::vector<SharedImage>{For(plan, asked.image)});
    prepared->plan = plan;
    std::vector<double> scores;
    size_t at = 0;
    double sum = 0;
    RequestHooks hooks;
    hooks.scoring = {.tokens = asked.answer, .scores = &scores};
    hooks.logits = [&](std::span<const float> row) {
      sum += KlDivergence(asked.logits[at], row);
      movement.changed_tokens += MostProbable(row, usable) != asked.answer[at] ? 1 : 0;
      ++at;
    };
    engine_.Run(std::move(prepared), {}, std::move(hooks));
    BINOCLE_CHECK(at == asked.answer.size(), at);
    sums.push_back(sum);
  }
  // Added up by size, so that the order of the pictures cannot show in the last bit.
  std::sort(sums.begin(), sums.end());
  for (const double sum : sums) movement.mean += sum;
  movement.mean /= static_cast<double>(tokens_);
  return movement;
}

double CompositeMeter::Saved(const LayerPlan& plan) const {
  const ModelConfig& config = engine_.loaded().model.config();
  int64_t own = 0, other = 0;
  for (const Asked& asked : asked_) {
    own += VisualMultiplyAdds(config.text, config.layers, asked.prompt);
    other += VisualMultiplyAdds(config.text, plan, asked.prompt);
  }
  return 1 - static_cast<double>(other) / static_cast<double>(own);
}

}  // namespace binocle
