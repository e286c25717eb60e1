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
class GenerateStream final : public StallWatch::Watched,
                             public ReplyRoom::Holder,
                             public std::enable_shared_from_this<GenerateStream> {
 public:
  using Transport = grpc::ServerBidiReactor<Incoming<v1::GenerateRequest>, grpc::ByteBuffer>;
  // Called with the request when it has come, which is there until it returns. What it throws ends the stream.
  using Handle = std::function<void(const std::shared_ptr<GenerateStream>& stream,
                                    const v1::GenerateRequest& request)>;

  // Refused calls end at once. The reactor goes to gRPC and deletes itself. A client that lets more wait than `max_queued_messages`
  // and `replies` of `services` allow is cut off.
  static Transport* Begin(grpc::CallbackServerContext& context,
                          const std::shared_ptr<CallGate::Call>& call,
                          const ServiceContext& services, Handle handle);

  void Push(const v1::GenerateResponse& message);
  // The stream ends when what was pushed before has been written.
  void End(const grpc::Status& status);
  // As UnaryCall::SetCancel; called too when the client is cut off.
  void SetCancel(std::function<void()> cancel);
  void EndIfStalled(StallWatch::Clock::time_point before) override;
  std::optional<ReplyRoom::Clock::time_point> Due() const override;
  void GiveWay() override;

 private:
  class Reactor;

  GenerateStream(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
                 const ServiceContext& services)
      : context_(&context),
        call_(std::move(call)),
        max_queued_(services.max_queued_messages),
        limits_(services.replies),
        waiting_(limits_.room->Share()) {}
  // As UnaryCall's.
  UnaryCall::Next OnRead(bool message);
  void OnWriteDone(bool ok);
  void OnCancel();
  // Queues the message where there is room for it; `mutex_` is held.
  bool TryQueue(grpc::ByteBuffer& bytes);
  // Drops what waits and ends with `status`; `mutex_` is held. What it returns is to be called without it.
  [[nodiscard]] std::function<void()> Abort(const grpc::Status& status);
  // Starts what comes next, when nothing is under way; `mutex_` is held.
  void Advance();

  mutable std::mutex mutex_;              // guards what follows
  grpc::CallbackServerContext* context_;  // gRPC's, there as long as reactor_ is
  std::shared_ptr<CallGate::Call> call_;  // shared with nobody who outlives the stream
  const size_t max_queued_;
  const ReplyLimits limits_;      // its own: the engine may tell of an end when the server has gone
  Transport* reactor_ = nullptr;  // null once finished
  RequestWait wait_;
  std::deque<grpc::ByteBuffer> queue_;
  grpc::ByteBuffer current_;  // being written
  WaitingShare waiting_;      // of both
  bool writing_ = false;
  StallWatch::Clock::time_point write_began_, due_;  // as UnaryCall's, of what is written
  bool joined_ = false;                              // the room's holders
  std::optional<grpc::Status> end_;
  std::function<void()> cancel_;
  bool cancelled_ = false;
};

}  // namespace binocle
