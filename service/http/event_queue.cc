#include "service/http/event_queue.h"

#include <algorithm>
#include <map>
#include <utility>

namespace binocle::http {
namespace {

size_t LogprobBytes(const std::vector<std::vector<TokenLogProbability>>& steps) {
  size_t bytes = 0;
  for (const auto& step : steps) bytes += sizeof step + step.size() * sizeof(TokenLogProbability);
  return bytes;
}

}  // namespace

int64_t BytesOf(const ChatEvent& event) {
  size_t bytes = sizeof(ChatEvent);
  if (const auto* delta = std::get_if<DeltaEvent>(&event)) {
    bytes += delta->text.size() + LogprobBytes(delta->logprobs);
  } else if (const auto* response = std::get_if<Response>(&event)) {
    for (const Answer& answer : response->answers)
      bytes += answer.text.size() + LogprobBytes(answer.logprobs);
  }
  return static_cast<int64_t>(bytes);
}

void EventQueue::Push(ChatEvent event) {
  const int64_t bytes = BytesOf(event);
  const std::lock_guard lock(mutex_);
  if (overflowed_) return;
  if (!std::holds_alternative<DeltaEvent>(event)) {
    waiting_.Add(bytes);
    events_.push_back(std::move(event));
  } else if (waiting_.TryAdd(bytes)) {
    events_.push_back(std::move(event));
  } else {
    overflowed_ = true;
    Error slow(Code::kCancelled, "the client reads too slowly");
    waiting_.Add(BytesOf(slow));
    events_.emplace_back(std::move(slow));
  }
  changed_.notify_one();
}

std::optional<ChatEvent> EventQueue::Pop(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, wait, [&] { return !events_.empty(); })) return std::nullopt;
  ChatEvent event = std::move(events_.front());
  events_.pop_front();
  waiting_.Remove(BytesOf(event));
  return event;
}

bool EventQueue::overflowed() {
  const std::lock_guard lock(mutex_);
  return overflowed_;
}

SubmissionEvents EventsInto(const std::shared_ptr<EventQueue>& queue, Deltas deltas) {
  SubmissionEvents events;
  events.on_started = [queue](const Started& started) { queue->Push(started); };
  // Of each answer, how many tokens' log-probabilities deltas had; the engine's thread's.
  const auto told = std::make_shared<std::map<int64_t, size_t>>();
  if (deltas == Deltas::kWanted) {
    events.on_delta = [queue, told](const Delta& delta) {
      if (delta.text.empty() && delta.logprobs.empty()) return;
      DeltaEvent event{.answer = delta.answer,
                       .text = std::string(delta.text),
                       .token_ids = {},
                       .logprobs = delta.logprobs};
      if (!event.logprobs.empty()) event.token_ids = delta.token_ids;
      (*told)[delta.answer] += delta.logprobs.size();
      queue->Push(std::move(event));
    };
  }
  events.on_finished = [queue, told](Response response) {
    for (const auto& [index, count] : *told) {
      auto& logprobs = response.answers[static_cast<size_t>(index)].logprobs;
      for (size_t i = 0; i < std::min(count, logprobs.size()); ++i) logprobs[i] = {};
    }
    queue->Push(std::move(response));
  };
  events.on_error = [queue](const Error& error) { queue->Push(error); };
  return events;
}

}  // namespace binocle::http
