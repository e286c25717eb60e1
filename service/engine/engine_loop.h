// The engine's thread: takes what is submitted, steps while there is something to do, sleeps otherwise.
//
// It alone touches requests, sequences, pages and activations. Other threads hand it prepared requests and tasks. See CONTRACT.md.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "binocle/engine_stats.h"
#include "service/engine/pending_request.h"
#include "service/engine/step_runner.h"

namespace binocle {

class EngineLoop {
 public:
  // Starts the thread; RESOURCE_EXHAUSTED where the system gives none.
  EngineLoop(const LoadedModel& loaded, const StepBudget& budget);
  // Cancels what is left and reports it, then ends the thread.
  ~EngineLoop();
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  void Submit(std::shared_ptr<LiveRequest> request);
  // Ends it if it is cancelled or late before somebody else takes it.
  void Expect(std::shared_ptr<PendingRequest> request);
  // Runs `task`, which must not throw, between two steps, and does not wait for it.
  void Post(std::function<void()> task);
  // The same, waits, and throws what it threw. Not from the engine's own thread.
  void Use(const std::function<void()>& task);

  // As of the last step.
  EngineStats stats() const;
  // Engine::Failure. Other processes are looked at every second, also while nothing is asked for; a device that is lost shows when it is next used.
  std::optional<std::string> failure() const;

 private:
  void Run();
  void EndThePending(bool all);
  void Publish();
  // Whether others, or a device, that the engine cannot do without are still there.
  void LookAround();

  LoadedModel loaded_;
  StepRunner runner_;
  std::vector<std::shared_ptr<PendingRequest>> pending_;  // the thread's
  mutable std::mutex mutex_;                              // guards what follows
  std::condition_variable wake_;
  std::vector<std::shared_ptr<LiveRequest>> inbox_;
  std::vector<std::shared_ptr<PendingRequest>> expected_;
  std::vector<std::function<void()>> tasks_;
  EngineStats stats_;
  std::optional<std::string> failure_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace binocle
