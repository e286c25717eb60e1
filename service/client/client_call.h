// One call: its deadline, what goes with it, and its attempts.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "binocle/client.h"
#include "service/client/connection.h"
#include "service/client/status_error.h"
#include "service/client/to_proto.h"

namespace binocle {

using KeepGoing = std::function<bool()>;

// The operations of one attempt, one at a time, each waited for on this thread. What the caller's functions throw cancels the call and is
// kept until it has ended.
class Attempt {
 public:
  Attempt(grpc::ClientContext& context, const KeepGoing& keep_going)
      : context_(context), keep_going_(keep_going) {}
  ~Attempt();
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  grpc::ClientContext* context() { return &context_; }
  grpc::CompletionQueue* queue() { return &queue_; }
  // Whether the operation went well. Cancels the call when keep_going says no.
  bool Wait();
  // Runs a function of the caller.
  template <typename Function>
  void Guard(const Function& function) {
    if (thrown_) return;
    try {
      function();
    } catch (...) {
      thrown_ = std::current_exception();
      context_.TryCancel();
    }
  }
  void Cancel();

  bool cancelled() const { return cancelled_; }
  // Of what was kept.
  void Rethrow() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  void Ask();

  grpc::ClientContext& context_;
  const KeepGoing& keep_going_;
  grpc::CompletionQueue queue_;
  std::exception_ptr thrown_;
  bool cancelled_ = false;
};

class ClientCall {
 public:
  // `deadline`: the earlier of this and the timeout holds.
  ClientCall(const Connection& connection, const CallOptions& options,
             std::optional<std::chrono::steady_clock::time_point> deadline = {});

  PictureNames& pictures() { return pictures_; }
  const KeepGoing& keep_going() const { return keep_going_; }

  // Runs `attempt` until it ends well or may not be repeated. `untouched`: whether nothing of it has been told yet. Throws CallError, and
  // what functions of the caller have thrown.
  void Run(
      const std::function<grpc::Status(Attempt&)>& attempt,
      const std::function<bool()>& untouched = [] { return true; });

 private:
  std::chrono::milliseconds Left() const;
  void Prepare(grpc::ClientContext& context) const;
  // The time to wait before the next attempt; nothing: there is none.
  std::optional<std::chrono::milliseconds> Pause(const CallError& error, int64_t attempts) const;
  // Waits; meanwhile the channel connects anew where it is not connected.
  void Sleep(std::chrono::milliseconds time) const;
  [[noreturn]] void ThrowCancelled() const;

  const ClientOptions& client_;
  const std::string& token_;
  grpc::Channel& channel_;
  KeepGoing keep_going_;
  CallFacts facts_;
  PictureNames pictures_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

// A call of one message either way. `start` is a stub's Async method: it gets context and queue and gives the reader.
template <typename Response, typename Start>
Response Unary(ClientCall& call, const Start& start) {
  Response response;
  call.Run([&](Attempt& attempt) {
    response.Clear();
    grpc::Status status;
    const std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader =
        start(attempt.context(), attempt.queue());
    reader->Finish(&response, &status, nullptr);
    attempt.Wait();
    return status;
  });
  return response;
}

}  // namespace binocle
