// From the engine's thread, which must not wait, to a connection's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "binocle/request.h"
#include "service/common/waiting.h"

namespace binocle::http {

// Delta, in owned memory.
struct DeltaEvent {
  int64_t answer = 0;
  std::string text;
  std::vector<int32_t> token_ids;                          // of logprobs
  std::vector<std::vector<TokenLogProbability>> logprobs;  // empty unless asked for
};

using ChatEvent = std::variant<Started, DeltaEvent, Response, Error>;

// What an event takes that waits.
int64_t BytesOf(const ChatEvent& event);

// When more waits than may, the client reads too slowly: deltas are dropped, and an Error follows what there is. The last event of a request
// always fits.
class EventQueue {
 public:
  // `all` is shared with the other queues.
  EventQueue(const WaitingLimits& limits, std::shared_ptr<WaitingBytes> all)
      : waiting_(limits, std::move(all)) {}
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // Never waits.
  void Push(ChatEvent event);
  // Waits for the next event at most this long.
  std::optional<ChatEvent> Pop(std::chrono::milliseconds wait);
  // Something was dropped.
  bool overflowed();

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<ChatEvent> events_;
  WaitingShare waiting_;
  bool overflowed_ = false;
};

// The queue is owned by the connection and by the engine, whichever ends later. With deltas, the response's log-probabilities are those
// that no delta had; the others are empty.
enum class Deltas { kWanted, kUnwanted };
SubmissionEvents EventsInto(const std::shared_ptr<EventQueue>& queue, Deltas deltas);

}  // namespace binocle::http
