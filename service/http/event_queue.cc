#include "service/http/event_queue.h"

#include <utility>

namespace binocle::http {
namespace {

int64_t BytesOf(const ChatEvent& event) {
  const auto* delta = std::get_if<DeltaEvent>(&event);
  if (delta == nullptr) return 0;
  size_t bytes = sizeof(ChatEvent) + delta->text.size();
  for (const auto& step : delta->logprobs)
    bytes += sizeof step + step.size() * sizeof(TokenLogProbability);
  return static_cast<int64_t>(bytes);
}

}  // namespace

void EventQueue::Push(ChatEvent event) {
  const int64_t bytes = BytesOf(event);
  const std::lock_guard lock(mutex_);
  if (overflowed_) return;
  if (bytes > 0 && bytes_ + bytes > limits_.each && *all_ + bytes > limits_.together) {
    overflowed_ = true;
    events_.emplace_back(Error(Code::kCancelled, "the client reads too slowly"));
  } else {
    bytes_ += bytes;
    *all_ += bytes;
    events_.push_back(std::move(event));
  }
  changed_.notify_one();
}

std::optional<ChatEvent> EventQueue::Pop(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, wait, [&] { return !events_.empty(); })) return std::nullopt;
  ChatEvent event = std::move(events_.front());
  events_.pop_front();
  const int64_t bytes = BytesOf(event);
  bytes_ -= bytes;
  *all_ -= bytes;
  return event;
}

bool EventQueue::overflowed() {
  const std::lock_guard lock(mutex_);
  return overflowed_;
}

SubmissionEvents EventsInto(const std::shared_ptr<EventQueue>& queue, Deltas deltas) {
  SubmissionEvents events;
  events.on_started = [queue](const Started& started) { queue->Push(started); };
  if (deltas == Deltas::kWanted) {
    events.on_delta = [queue](const Delta& delta) {
      if (delta.text.empty() && delta.logprobs.empty()) return;
      DeltaEvent event{.answer = delta.answer,
                       .text = std::string(delta.text),
                       .token_ids = {},
                       .logprobs = delta.logprobs};
      if (!event.logprobs.empty()) event.token_ids = delta.token_ids;
      queue->Push(std::move(event));
    };
  }
  events.on_finished = [queue](Response response) { queue->Push(std::move(response)); };
  events.on_error = [queue](const Error& error) { queue->Push(error); };
  return events;
}

}  // namespace binocle::http
