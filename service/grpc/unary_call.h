// The end of a unary call, which several may want to bring about: the engine, a worker, a client that goes away.
#pragma once

#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <mutex>

#include "service/grpc/call_gate.h"

namespace binocle {

// Shared by the reactor and by whoever works for the call. From any thread.
class UnaryCall {
 public:
  // The reactor goes to gRPC and deletes itself.
  static std::shared_ptr<UnaryCall> Begin(std::shared_ptr<CallGate::Call> call);
  grpc::ServerUnaryReactor* reactor() const { return handed_; }

  // Ends the call, unless it has ended. `fill` writes the response, which is the call's no longer once it has ended.
  void End(const grpc::Status& status, const std::function<void()>& fill = {});
  // Kept until the call ends, and called when the client goes away first; at once when it has gone.
  void SetCancel(std::function<void()> cancel);
  bool ended() const;

 private:
  class Reactor;

  explicit UnaryCall(std::shared_ptr<CallGate::Call> call) : call_(std::move(call)) {}
  void Cancel();

  mutable std::mutex mutex_;                     // guards what follows
  std::shared_ptr<CallGate::Call> call_;         // shared with nobody who outlives the call
  grpc::ServerUnaryReactor* reactor_ = nullptr;  // null once ended
  grpc::ServerUnaryReactor* handed_ = nullptr;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

}  // namespace binocle
