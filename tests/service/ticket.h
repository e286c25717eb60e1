// A submitted request and what came of it.
#pragma once

#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binocle/engine.h"

namespace binocle::testing {

class Ticket {
 public:
  Ticket(Engine& engine, Request request) {
    auto shared = state_;
    submission_ = engine.Submit(
        std::move(request),
        {.on_started = [shared](const Started& s) { shared->started = s; },
         .on_delta =
             [shared](const Delta& d) {
               shared->text += d.text;
               ++shared->deltas;
             },
         .on_finished = [shared](Response r) { shared->done.set_value(std::move(r)); },
         .on_error =
             [shared](const Error& e) { shared->done.set_exception(std::make_exception_ptr(e)); }});
  }
  Response Wait() { return state_->done.get_future().get(); }
  void Cancel() { submission_.Cancel(); }

  struct State {
    std::promise<Response> done;
    std::optional<Started> started;
    std::string text;
    std::atomic<int> deltas{0};
  };
  const State& state() const { return *state_; }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
  Submission submission_;
};

}  // namespace binocle::testing
