// One request on its way through a loaded model.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "binocle/engine.h"
#include "llm/sampling.h"
#include "service/engine/answer_builder.h"
#include "service/engine/image_encoder.h"
#include "service/engine/intervention_plan.h"
#include "service/engine/kept_prefix.h"
#include "service/engine/prefill.h"
#include "service/engine/request_prompt.h"
#include "service/engine/token_times.h"

namespace binocle {

// What a request runs on. Everything is borrowed and used by one request at a time.
struct LoadedModel {
  Exec& exec;
  VlmModel& model;
  KvPool& pool;
  DecoderActivations& activations;
  ImageEncoder& images;
  KeptPrefix& prefix;
  const AttentionCalibration& calibration;
  const ModelInfo& info;

  ForwardContext forward() const { return {exec, model.decoder(), pool, activations}; }
};

class Generation {
 public:
  using Clock = std::chrono::steady_clock;

  // Checks the request against the model: prompt, interventions. Throws what Engine::Generate throws.
  Generation(const LoadedModel& loaded, const Request& request, const Observer& observer);

  // Sees the attention of the rows that give tokens; to be set before Run.
  void set_row_observer(RowObserver* observer) { row_observer_ = observer; }
  // Sees the prompt, its pictures included, and the answer enter every layer; to be set before Run.
  void set_input_observer(LayerInputObserver* observer) { input_observer_ = observer; }
  // Called before each token is chosen, with its number in the answer.
  std::function<void(int64_t)> before_token;

  Response Run();
  // Instead of Run: the log-probabilities of `tokens` as the answer, one after the other, with `images` in the pictures' places. For
  // requests without guidance and VCD. Empty when the observer does not want to go on.
  std::vector<double> Score(std::span<const SharedImage> images, std::span<const int32_t> tokens);

  const ExpandedPrompt& prompt() const { return prompt_.expanded; }
  const SequenceWatch* watch() const { return main_.watch.get(); }
  // As they are applied.
  const Interventions& interventions() const { return response_.interventions; }

 private:
  // Logits of the main sequence and, where it is paired, of the other one.
  struct Logits {
    std::vector<float> main, other;
  };

  std::vector<SharedImage> EncodeImages();
  void Watch(std::span<const SharedImage> images);
  bool PrefillMain(std::span<const SharedImage> images, Logits& logits);
  bool PrefillOther(std::span<const SharedImage> images, Logits& logits);
  FinishReason Decode(AnswerBuilder& builder, Sampler& sampler, Logits logits);
  void Combine(Logits& logits) const;  // into logits.main
  void Step(int32_t token, Logits& logits);
  double Grounding() const;
  void KeepPrefix(std::vector<SharedImage> images);
  bool paired() const { return other_.has_value(); }
  bool going_on() const { return !observer_.keep_going || observer_.keep_going(); }

  Clock::time_point start_ = Clock::now();
  LoadedModel m_;
  const Request& request_;
  const Observer& observer_;
  PreparedPrompt prompt_;
  ExpandedPrompt other_prompt_;
  Response response_;
  RunningSequence main_;
  std::optional<RunningSequence> other_;
  TokenTimes times_;
  RowObserver* row_observer_ = nullptr;
  LayerInputObserver* input_observer_ = nullptr;
};

}  // namespace binocle
