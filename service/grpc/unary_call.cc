#include "service/grpc/unary_call.h"

#include <utility>

#include "service/grpc/request_wait.h"
#include "service/grpc/status.h"

namespace binocle {

UnaryCall::UnaryCall(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
                     Transport& transport, int64_t max_message_bytes)
    : context_(&context),
      call_(std::move(call)),
      max_message_bytes_(max_message_bytes),
      transport_(&transport),
      since_(StallWatch::Clock::now()) {}

void UnaryCall::End(const grpc::Status& wanted, const std::function<void()>& fill) {
  // What these hold may hold this call: it goes after the lock.
  std::function<void()> cancel;
  const std::lock_guard lock(mutex_);
  if (transport_ == nullptr) return;
  if (fill) fill();
  cancel = std::exchange(cancel_, nullptr);
  Transport* transport = std::exchange(transport_, nullptr);
  const grpc::Status status =
      wanted.ok() ? StatusOfReply(transport->ResponseBytes(), max_message_bytes_) : wanted;
  call_->End(status);
  end_ = StallWatch::Clock::now();
  transport->SendEnd(status);
}

void UnaryCall::EndIfStalled(StallWatch::Clock::time_point before) {
  {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr && end_ && *end_ <= before) context_->TryCancel();
    if (!since_ || *since_ > before) return;
  }
  End(RequestIsLate());
}

bool UnaryCall::TakeRequest(bool come) {
  grpc::Status refusal;
  {
    const std::lock_guard lock(mutex_);
    since_.reset();
    if (transport_ == nullptr) return false;
    if (come) call_->Begin();
    refusal = come ? call_->refusal() : RequestIsMissing(*context_);
  }
  if (refusal.ok()) return true;
  End(refusal);
  return false;
}

void UnaryCall::Done() {
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

void UnaryCall::SetCancel(std::function<void()> cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      if (transport_ != nullptr) cancel_ = std::move(cancel);
      return;
    }
  }
  cancel();
}

bool UnaryCall::ended() const {
  const std::lock_guard lock(mutex_);
  return transport_ == nullptr;
}

void UnaryCall::Cancel() {
  std::function<void()> cancel;
  bool whole = false;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    whole = !since_;
    cancel = std::exchange(cancel_, nullptr);
  }
  if (cancel) cancel();
  End(whole ? call_->Broken() : RequestIsCut());
}

}  // namespace binocle
