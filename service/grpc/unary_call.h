// A unary call: its request is waited for, and its end is one that several may want to bring about: the engine, a worker, a client that
// goes away.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "service/grpc/call_gate.h"
#include "service/grpc/reply_limits.h"
#include "service/grpc/request_wait.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by the reactor and by whoever works for the call. From any thread.
class UnaryCall : public StallWatch::Watched,
                  public ReplyRoom::Holder,
                  public std::enable_shared_from_this<UnaryCall> {
 public:
  // What gRPC has of the call, whatever its messages are; there until OnDone.
  class Transport {
   public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;
    virtual size_t ResponseBytes() const = 0;
    // Sends the status, and the response where it is OK. It is bytes then, and no message any longer.
    virtual void SendEnd(const grpc::Status& status) = 0;
  };

  // The client may send its request for the watch's limit.
  UnaryCall(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
            Transport& transport, const ReplyLimits& limits);

  // Ends the call, unless it has ended. `fill` writes the response, which is the call's no longer once it has ended. A response that is
  // no message, as it is too large, is RESOURCE_EXHAUSTED: gRPC would say so to the client alone. So is one for which there is no room
  // among those that wait for their clients, after calls whose clients do not read have given way.
  void End(const grpc::Status& status, const std::function<void()>& fill = {});
  // Kept until the call ends, and called when the client goes away first; at once when it has gone.
  void SetCancel(std::function<void()> cancel);
  bool ended() const;
  // Ends a call whose request does not come; cuts off a client that does not read the response.
  void EndIfStalled(StallWatch::Clock::time_point before) override;
  std::optional<ReplyRoom::Clock::time_point> Due() const override;
  void GiveWay() override;

  // Of the reactor, when a read has come back.
  enum class Next : uint8_t { kReadOn, kAnswer, kNothing };
  Next OnRead(bool message);
  void Cancel();
  void Done();

 private:
  // Of a response that is being written; `mutex_` is held.
  void Cut(const grpc::Status& status);

  mutable std::mutex mutex_;              // guards what follows
  grpc::CallbackServerContext* context_;  // null once gRPC is done with the call
  std::shared_ptr<CallGate::Call> call_;  // shared with nobody who outlives the call
  const ReplyLimits limits_;              // its own, as GenerateStream's
  Transport* transport_;                  // null once ended
  RequestWait wait_;
  WaitingShare waiting_;  // the response, while it is written
  // Of the response; when a client that reads would have had it.
  std::optional<StallWatch::Clock::time_point> write_began_, due_;
  std::function<void()> cancel_;
  bool answered_ = false;  // ended with OK
  bool cancelled_ = false;
  std::optional<grpc::Status> cut_;  // off by us, after the end
};

}  // namespace binocle
