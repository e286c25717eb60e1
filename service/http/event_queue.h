// From the engine's thread, which must not wait, to a connection's.
#pragma once

#include <atomic>
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

namespace binocle::http {

// Delta, in owned memory.
struct DeltaEvent {
  int64_t answer = 0;
  std::string text;
  std::vector<int32_t> token_ids;                          // of logprobs
  std::vector<std::vector<TokenLogProbability>> logprobs;  // empty unless asked for
};

using ChatEvent = std::variant<Started, DeltaEvent, Response, Error>;

// How many bytes of deltas may wait to be written: so many of each stream, and more of one while all together have not so many. A burst that
// the engine makes faster than JSON is written, at most a request's whole answer, so waits for its client.
struct WaitingLimits {
  int64_t each = 0, together = 0;
};
// Of all streams of a server.
using WaitingBytes = std::atomic<int64_t>;

// When more waits than may, the client reads too slowly: deltas are dropped, and an Error follows what there is. The last event of a request
// always fits.
class EventQueue {
 public:
  // `all` is shared with the other queues.
  EventQueue(const WaitingLimits& limits, std::shared_ptr<WaitingBytes> all)
      : limits_(limits), all_(std::move(all)) {}
  ~EventQueue() { *all_ -= bytes_; }
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // Never waits.
  void Push(ChatEvent event);
  // Waits for the next event at most this long.
  std::optional<ChatEvent> Pop(std::chrono::milliseconds wait);
  // Something was dropped.
  bool overflowed();

 private:
  const WaitingLimits limits_;
  const std::shared_ptr<WaitingBytes> all_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ChatEvent> events_;
  int64_t bytes_ = 0;
  bool overflowed_ = false;
};

// The queue is owned by the connection and by the engine, whichever ends later.
enum class Deltas { kWanted, kUnwanted };
SubmissionEvents EventsInto(const std::shared_ptr<EventQueue>& queue, Deltas deltas);

}  // namespace binocle::http
