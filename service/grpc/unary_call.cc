#include "service/grpc/unary_call.h"

#include <utility>

#include "service/grpc/status.h"

namespace binocle {

UnaryCall::UnaryCall(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
                     Transport& transport, const ReplyLimits& limits)
    : context_(&context),
      call_(std::move(call)),
      limits_(limits),
      transport_(&transport),
      waiting_(limits.room->Share()) {}

void UnaryCall::End(const grpc::Status& wanted, const std::function<void()>& fill) {
  // What these hold may hold this call: it goes after the lock.
  std::function<void()> cancel;
  std::unique_lock lock(mutex_);
  if (transport_ == nullptr) return;
  if (fill) fill();
  const auto bytes = wanted.ok() ? static_cast<int64_t>(transport_->ResponseBytes()) : 0;
  grpc::Status status = wanted.ok() ? StatusOfReply(bytes, limits_.max_message_bytes) : wanted;
  if (status.ok() && !waiting_.TryAdd(bytes)) {
    lock.unlock();
    limits_.room->MakeRoom(bytes);
    lock.lock();
    if (transport_ == nullptr) return;
    if (!waiting_.TryAdd(bytes)) status = NoRoomForReply();
  }
  if (waiting_.large()) limits_.room->Join(weak_from_this());
  cancel = std::exchange(cancel_, nullptr);
  answered_ = status.ok();
  call_->End(status);
  due_ = ReplyRoom::DueOf(bytes);
  write_began_ = StallWatch::Clock::now();
  std::exchange(transport_, nullptr)->SendEnd(status);
}

void UnaryCall::EndIfStalled(StallWatch::Clock::time_point before) {
  std::optional<grpc::Status> late;
  {
    const std::lock_guard lock(mutex_);
    if (write_began_ && *write_began_ <= before) Cut(ReaderHasStopped());
    late = wait_.IfLate(before);
  }
  if (late) End(*late);
}

std::optional<ReplyRoom::Clock::time_point> UnaryCall::Due() const {
  const std::lock_guard lock(mutex_);
  return context_ != nullptr && !cut_ ? due_ : std::nullopt;
}

void UnaryCall::GiveWay() {
  const std::lock_guard lock(mutex_);
  Cut(ReaderGivesWay());
  waiting_.Clear();
}

void UnaryCall::Cut(const grpc::Status& status) {
  if (context_ == nullptr || cut_) return;
  cut_ = status;
  context_->TryCancel();
}

UnaryCall::Next UnaryCall::OnRead(bool message) {
  std::optional<grpc::Status> status;
  {
    const std::lock_guard lock(mutex_);
    if (transport_ == nullptr) return Next::kNothing;
    status = wait_.OnRead(message, *context_, *call_);
    if (!status) return Next::kReadOn;
    if (status->ok()) {
      call_->Begin();
      status = call_->refusal();
    }
  }
  if (status->ok()) return Next::kAnswer;
  End(*status);
  return Next::kNothing;
}

void UnaryCall::Done() {
  const std::lock_guard lock(mutex_);
  if (cut_) call_->End(*cut_);  // OnCancel is not called where the connection was broken
  context_ = nullptr;
  waiting_.Clear();
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
    whole = wait_.over();
    cancel = std::exchange(cancel_, nullptr);
    // gRPC says so of a call that has ended only where its end has not reached the client.
    // A request that was found to be missing is one that was cancelled.
    const bool unheard = answered_ || (transport_ == nullptr && wait_.over() && !wait_.come());
    if (unheard && context_ != nullptr) call_->End(cut_ ? *cut_ : call_->Broken());
  }
  if (cancel) cancel();
  End(whole ? call_->Broken() : RequestIsCut(*call_));
}

}  // namespace binocle
