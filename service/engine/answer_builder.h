// One answer in the making: tokens in, text and a reason to stop out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "binocle/request.h"
#include "fusion/vlm_model.h"
#include "llm/stop_matcher.h"
#include "llm/streaming_decoder.h"

namespace binocle {

class AnswerBuilder {
 public:
  // `index` is the answer's number in its request.
  AnswerBuilder(int64_t index, const VlmModel& model, std::vector<std::string> stops,
                PromptFormat format, const Observer& observer)
      : index_(index),
        model_(&model),
        decoder_(model.tokenizer()),
        stops_(std::move(stops)),
        format_(format),
        observer_(&observer) {}

  // Takes the next token, of which answer() has the log-probabilities and the grounding already where they are asked for. Returns false
  // when the answer ends with it.
  bool Push(int32_t token);
  // Hands over the answer. Text that was held back for a stop string or an unfinished character is emitted first.
  Answer Finish(FinishReason reason);

  int64_t tokens() const { return static_cast<int64_t>(answer_.token_ids.size()); }
  Answer& answer() { return answer_; }

 private:
  void Emit(std::string text);
  void Report(std::string_view text);

  int64_t index_;
  const VlmModel* model_;
  StreamingDecoder decoder_;
  StopMatcher stops_;
  PromptFormat format_;
  const Observer* observer_;
  Answer answer_;
  int64_t reported_ = 0;  // tokens that deltas have told
  bool started_ = false;  // some text has been seen
};

}  // namespace binocle
