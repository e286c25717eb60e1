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
#include <variant>
#include <vector>

#include "binocle/request.h"

namespace binocle::http {

// Delta, in owned memory.
struct DeltaEvent {
  int64_t answer = 0;
  std::string text;
  std::vector<int32_t> token_ids;                          // of logprobs
  std::vector<std::vector<TokenLogProbability>> logprobs;  // empty unless asked for
};

using ChatEvent = std::variant<Started, DeltaEvent, Response, Error>;

// Holds at most `max_bytes` of deltas. When there are more, the client reads too slowly: they are dropped, and an Error follows what there
// is. The last event of a request always fits.
class EventQueue {
 public:
  explicit EventQueue(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Never waits.
  void Push(ChatEvent event);
  // Waits for the next event at most this long.
  std::optional<ChatEvent> Pop(std::chrono::milliseconds wait);
  // Something was dropped.
  bool overflowed();

 private:
  const size_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ChatEvent> events_;
  size_t bytes_ = 0;
  bool overflowed_ = false;
};

// The queue is owned by the connection and by the engine, whichever ends later.
enum class Deltas { kWanted, kUnwanted };
SubmissionEvents EventsInto(const std::shared_ptr<EventQueue>& queue, Deltas deltas);

}  // namespace binocle::http
