// One stream of Generate: its request is waited for, and what the engine tells goes through a bounded queue to a client that may be slow,
// stalled or gone.
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
#include "service/grpc/incoming.h"
#include "service/grpc/request_wait.h"
#include "service/grpc/service_context.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by the reactor, the engine's events and the watch. From any thread.
class GenerateStream final : public StallWatch::Watched {
 public:
  using Transport = grpc::ServerBidiReactor<Incoming<v1::GenerateRequest>, v1::GenerateResponse>;
  // Called with the request when it has come, which is there as long as the stream. What it throws ends the stream.
  using Handle = std::function<void(const std::shared_ptr<GenerateStream>& stream,
                                    const v1::GenerateRequest& request)>;

  // Refused calls end at once. The reactor goes to gRPC and deletes itself. A client that lets more than `max_queued_messages` of
  // `services` wait is cut off.
  static Transport* Begin(grpc::CallbackServerContext& context,
                          const std::shared_ptr<CallGate::Call>& call,
                          const ServiceContext& services, Handle handle);

  void Push(v1::GenerateResponse message);
  // The stream ends when what was pushed before has been written.
  void End(const grpc::Status& status);
  // As UnaryCall::SetCancel; called too when the client is cut off.
  void SetCancel(std::function<void()> cancel);
  void EndIfStalled(StallWatch::Clock::time_point before) override;

 private:
  class Reactor;

  GenerateStream(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
                 const ServiceContext& services)
      : context_(&context),
        call_(std::move(call)),
        max_queued_(services.max_queued_messages),
        max_message_bytes_(services.max_message_bytes),
        since_(StallWatch::Clock::now()) {}
  // False: there is no request to answer.
  bool TakeRequest(bool come);
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
  const int64_t max_message_bytes_;
  Transport* reactor_ = nullptr;  // null once finished
  std::optional<StallWatch::Clock::time_point>
      since_;  // waits for the request; none once it has come
  std::deque<v1::GenerateResponse> queue_;
  v1::GenerateResponse current_;  // being written
  bool writing_ = false;
  StallWatch::Clock::time_point write_start_;
  std::optional<grpc::Status> end_;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

}  // namespace binocle
