#include "service/engine/engine_loop.h"

#include <chrono>
#include <exception>
#include <future>
#include <system_error>
#include <utility>

#include "core/backend/cuda_backend.h"
#include "core/error.h"
#include "core/parallel/communicator.h"
#include "service/engine/error_of.h"

namespace binocle {
namespace {

// How late a deadline or a cancellation may be noticed while nothing is computed.
constexpr std::chrono::milliseconds kLookAtPending{10};
// The same for a rank that has left.
constexpr std::chrono::milliseconds kLookAround{500};

}  // namespace

EngineLoop::EngineLoop(const LoadedModel& loaded, const StepBudget& budget)
    : loaded_(loaded), runner_(loaded, budget) {
  Publish();
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error& error) {
    Throw(Code::kResourceExhausted, "threads: the system gave none for the engine (",
          error.code().message(), ")");
  }
}

EngineLoop::~EngineLoop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void EngineLoop::Submit(std::shared_ptr<LiveRequest> request) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(request));
  }
  wake_.notify_one();
}

void EngineLoop::Expect(std::shared_ptr<PendingRequest> request) {
  {
    const std::lock_guard lock(mutex_);
    expected_.push_back(std::move(request));
  }
  wake_.notify_one();
}

void EngineLoop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void EngineLoop::Use(const std::function<void()>& task) {
  std::promise<void> done;
  Post([&] {
    try {
      task();
      done.set_value();
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  done.get_future().get();
}

void EngineLoop::Run() {
  while (true) {
    std::vector<std::shared_ptr<LiveRequest>> requests;
    std::vector<std::function<void()>> tasks;
    bool stop = false;
    {
      std::unique_lock lock(mutex_);
      const auto something = [&] {
        return stop_ || !inbox_.empty() || !expected_.empty() || !tasks_.empty() || !runner_.idle();
      };
      if (!pending_.empty()) {
        wake_.wait_for(lock, kLookAtPending, something);
      } else if (loaded_.exec.communicator() != nullptr && !failure_) {
        wake_.wait_for(lock, kLookAround, something);
      } else {
        wake_.wait(lock, something);
      }
      requests.swap(inbox_);
      tasks.swap(tasks_);
      pending_.insert(pending_.end(), expected_.begin(), expected_.end());
      expected_.clear();
      stop = stop_;
    }
    for (auto& request : requests) runner_.Add(std::move(request));
    for (const auto& task : tasks) task();
    EndThePending(stop);
    if (stop) {
      runner_.CancelAll();
      runner_.ReportEnds();
      return;
    }
    runner_.Step();
    LookAround();
    Publish();
    runner_.ReportEnds();
  }
}

void EngineLoop::EndThePending(bool all) {
  std::erase_if(pending_, [&](const std::shared_ptr<PendingRequest>& request) {
    if (!all && !request->over()) return false;
    if (!request->Take()) return true;
    if (all || request->cancelled->load()) {
      request->ReportCancelled(loaded_.info.name);
    } else {
      request->ReportLate();
    }
    return true;
  });
}

void EngineLoop::LookAround() {
  std::string why;
  if (loaded_.exec.place().cuda != nullptr) why = loaded_.exec.cuda().lost();
  if (Communicator* ranks = loaded_.exec.communicator(); why.empty() && ranks != nullptr) {
    // What it throws it also keeps.
    ErrorOf([&] { ranks->Check(); });
    why = ranks->over();
  }
  if (why.empty()) return;
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = why;
}

std::optional<std::string> EngineLoop::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void EngineLoop::Publish() {
  const StepCounters& c = runner_.counters();
  const std::lock_guard lock(mutex_);
  stats_ = {.requests = runner_.requests(),
            .running = runner_.running_lanes(),
            .pages = loaded_.pool.pages(),
            .free_pages = loaded_.pool.free_pages(),
            .prefix_pages = loaded_.prefix.pages(),
            .steps = c.steps,
            .prompt_rows = c.prompt_rows,
            .answer_tokens = c.answer_tokens,
            .prefix_tokens = c.prefix_tokens,
            .preemptions = c.preemptions};
}

EngineStats EngineLoop::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace binocle
