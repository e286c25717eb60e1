// The end of a unary call, which several may want to bring about: the engine, a worker, a client that goes away.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "service/grpc/call_gate.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by the reactor and by whoever works for the call. From any thread.
class UnaryCall : public StallWatch::Watched {
 public:
  // The reactor goes to gRPC and deletes itself. A client that does not read the response is cut off by `stalls`.
  static std::shared_ptr<UnaryCall> Begin(grpc::CallbackServerContext& context,
                                          std::shared_ptr<CallGate::Call> call, StallWatch& stalls);
  grpc::ServerUnaryReactor* reactor() const { return handed_; }

  // Ends the call, unless it has ended. `fill` writes the response, which is the call's no longer once it has ended.
  void End(const grpc::Status& status, const std::function<void()>& fill = {});
  // Kept until the call ends, and called when the client goes away first; at once when it has gone.
  void SetCancel(std::function<void()> cancel);
  bool ended() const;
  void EndIfStalled(StallWatch::Clock::time_point before) override;

 private:
  class Reactor;

  UnaryCall(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call)
      : context_(&context), call_(std::move(call)) {}
  void Cancel();
  void Done();

  mutable std::mutex mutex_;                          // guards what follows
  grpc::CallbackServerContext* context_;              // null once gRPC is done with the call
  std::optional<StallWatch::Clock::time_point> end_;  // when the response was handed over
  std::shared_ptr<CallGate::Call> call_;              // shared with nobody who outlives the call
  grpc::ServerUnaryReactor* reactor_ = nullptr;       // null once ended
  grpc::ServerUnaryReactor* handed_ = nullptr;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

}  // namespace binocle
