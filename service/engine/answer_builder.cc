#include "service/engine/answer_builder.h"

#include <algorithm>
#include <utility>

namespace binocle {
namespace {

// What a list per token has of the tokens from `first` on; nothing where it was not asked for.
template <typename T>
std::vector<T> From(const std::vector<T>& all, int64_t first) {
  return {all.begin() + std::min(first, std::ssize(all)), all.end()};
}

}  // namespace

bool AnswerBuilder::Push(int32_t token) {
  answer_.token_ids.push_back(token);
  if (model_->IsEndToken(token)) return false;
  std::string text = decoder_.Push(token);
  if (!started_ && !text.empty()) {
    started_ = true;
    // A template puts a space between its mark and the answer; the space is the template's.
    if (format_ == PromptFormat::kChat && text.front() == ' ') text.erase(0, 1);
  }
  Emit(stops_.Push(text));
  return !stops_.stopped();
}

Answer AnswerBuilder::Finish(FinishReason reason) {
  if (!stops_.stopped()) {
    std::string rest = stops_.Push(decoder_.Finish());
    if (!stops_.stopped()) rest += stops_.Finish();
    Emit(std::move(rest));
  }
  if (reported_ < tokens()) Report({});
  // A stop string may end in the very last bytes.
  const bool stopped = stops_.stopped() && reason == FinishReason::kLength;
  answer_.finish_reason = stopped ? FinishReason::kStop : reason;
  return std::move(answer_);
}

void AnswerBuilder::Emit(std::string text) {
  if (text.empty()) return;
  answer_.text += text;
  Report(text);
}

void AnswerBuilder::Report(std::string_view text) {
  const int64_t first = std::exchange(reported_, tokens());
  if (!observer_->on_delta) return;
  observer_->on_delta({.answer = index_,
                       .text = text,
                       .token_ids = From(answer_.token_ids, first),
                       .logprobs = From(answer_.logprobs, first),
                       .grounding = From(answer_.grounding, first)});
}

}  // namespace binocle
