// A submitted request that is being prepared.
//
// Two threads may end it or pass it on: a worker, who has prepared it or found what is wrong with it, and the engine's thread, when it was
// cancelled or its deadline has passed meanwhile. The one that takes it first does so; the other leaves it alone.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "binocle/request.h"
#include "service/engine/admission.h"
#include "service/engine/prepared_request.h"

namespace binocle {

struct PendingRequest {
  using Clock = PreparedRequest::Clock;

  bool Take() { return !taken.exchange(true); }
  bool late() const { return deadline && Clock::now() >= *deadline; }
  // Nobody waits for an answer any more, or has it.
  bool over() const { return taken || cancelled->load() || late(); }

  // For who took it, on the engine's thread.
  void ReportCancelled(const std::string& model);
  void ReportLate();

  int64_t number = 0;  // by arrival
  Clock::time_point start;
  std::optional<Clock::time_point> deadline;
  std::string id;
  int64_t answers = 1;
  std::shared_ptr<std::atomic<bool>> cancelled;  // with the caller's Submission
  std::atomic<bool> taken = false;

  // The workers', one after the other.
  Request request;
  std::unique_ptr<PreparedRequest> prepared;

  // The taker's.
  SubmissionEvents events;
  std::unique_ptr<Admission::Place> place;
  std::function<void()> forget;  // by the workers' queue
};

}  // namespace binocle
