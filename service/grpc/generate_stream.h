// One stream of Generate: what the engine tells goes through a bounded queue to a client that may be slow, stalled or gone.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "binocle/v1/vision_language_service.pb.h"
#include "service/grpc/call_gate.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by the reactor, the engine's events and the watch. From any thread.
class GenerateStream final : public StallWatch::Watched {
 public:
  // The reactor goes to gRPC and deletes itself. A client that lets more than
  // `max_queued` messages wait is cut off.
  static std::shared_ptr<GenerateStream> Begin(grpc::CallbackServerContext& context,
                                               std::shared_ptr<CallGate::Call> call,
                                               size_t max_queued);
  grpc::ServerWriteReactor<v1::GenerateResponse>* reactor() const { return handed_; }

  void Push(v1::GenerateResponse message);
  // The stream ends when what was pushed before has been written.
  void End(const grpc::Status& status);
  // As UnaryCall::SetCancel; called too when the client is cut off.
  void SetCancel(std::function<void()> cancel);
  void EndIfStalled(StallWatch::Clock::time_point before) override;

 private:
  class Reactor;

  GenerateStream(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
                 size_t max_queued)
      : context_(&context), call_(std::move(call)), max_queued_(max_queued) {}
  void OnWriteDone(bool ok);
  void OnCancel();
  // Drops what waits and ends with `status`; `mutex_` is held. What it returns is to be called without it.
  [[nodiscard]] std::function<void()> Abort(const grpc::Status& status);
  // Starts what comes next, when nothing is under way; `mutex_` is held.
  void Advance();

  mutable std::mutex mutex_;              // guards what follows
  grpc::CallbackServerContext* context_;  // gRPC's, there as long as reactor_ is
  std::shared_ptr<CallGate::Call> call_;  // shared with nobody who outlives the stream
  const size_t max_queued_;
  Reactor* reactor_ = nullptr;  // null once finished
  grpc::ServerWriteReactor<v1::GenerateResponse>* handed_ = nullptr;
  std::deque<v1::GenerateResponse> queue_;
  v1::GenerateResponse current_;  // being written
  bool writing_ = false;
  StallWatch::Clock::time_point write_start_;
  std::optional<grpc::Status> end_;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

}  // namespace binocle
