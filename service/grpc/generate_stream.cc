#include "service/grpc/generate_stream.h"

#include <algorithm>
#include <utility>

#include "binocle/error.h"
#include "service/grpc/outgoing.h"
#include "service/grpc/status.h"

namespace binocle {
namespace {

// With what a short one takes beside its bytes.
int64_t WaitingOf(const grpc::ByteBuffer& message) {
  constexpr int64_t kBeside = 256;
  return static_cast<int64_t>(message.Length()) + kBeside;
}

}  // namespace

// Lives as long as gRPC calls it.
class GenerateStream::Reactor final : public Transport {
 public:
  Reactor(std::shared_ptr<GenerateStream> stream, Handle handle)
      : stream_(std::move(stream)), handle_(std::move(handle)) {}
  void Read() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    const UnaryCall::Next next = stream_->OnRead(ok);
    if (next == UnaryCall::Next::kReadOn) return Read();
    if (next == UnaryCall::Next::kNothing) return;
    const grpc::Status status = Guarded([&] { handle_(stream_, request_.get()); });
    request_.Free();
    if (!status.ok()) stream_->End(status);
  }
  void OnWriteDone(bool ok) override { stream_->OnWriteDone(ok); }
  void OnCancel() override { stream_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<GenerateStream> stream_;
  const Handle handle_;
  Incoming<v1::GenerateRequest> request_;
};

GenerateStream::Transport* GenerateStream::Begin(grpc::CallbackServerContext& context,
                                                 const std::shared_ptr<CallGate::Call>& call,
                                                 const ServiceContext& services, Handle handle) {
  std::shared_ptr<GenerateStream> stream(new GenerateStream(context, call, services));
  auto* reactor = new Reactor(stream, std::move(handle));
  stream->reactor_ = reactor;
  if (!call->refusal().ok()) {
    stream->End(call->refusal());
  } else {
    services.stalls.Add(stream);
    reactor->Read();
  }
  return reactor;
}

UnaryCall::Next GenerateStream::OnRead(bool message) {
  std::optional<grpc::Status> status;
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr) return UnaryCall::Next::kNothing;
    status = wait_.OnRead(message, *context_, *call_);
    if (!status) return UnaryCall::Next::kReadOn;
    if (status->ok()) {
      call_->Begin();
      status = call_->refusal();
    }
  }
  if (status->ok()) return UnaryCall::Next::kAnswer;
  End(*status);
  return UnaryCall::Next::kNothing;
}

void GenerateStream::Push(const v1::GenerateResponse& message) {
  const auto size = static_cast<int64_t>(message.ByteSizeLong());
  grpc::Status status = StatusOfReply(size, limits_.max_message_bytes);
  grpc::ByteBuffer bytes;
  if (status.ok()) bytes = BytesOf(message);
  std::function<void()> cancel;
  {
    std::unique_lock lock(mutex_);
    if (reactor_ == nullptr || end_) return;
    if (status.ok() && TryQueue(bytes)) return;
    const bool slow = status.ok();
    const bool alone = queue_.size() >= max_queued_;
    if (slow && !alone) {
      lock.unlock();
      limits_.room->MakeRoom(WaitingOf(bytes));
      lock.lock();
      if (reactor_ == nullptr || end_ || TryQueue(bytes)) return;
    }
    if (slow) status = alone ? TooManyMessages(max_queued_) : NoRoomForReply();
    cancel = Abort(status);
    // A write that waits for this client ends only with the call.
    if (slow && writing_) context_->TryCancel();
  }
  if (cancel) cancel();
}

bool GenerateStream::TryQueue(grpc::ByteBuffer& bytes) {
  if (queue_.size() >= max_queued_ || !waiting_.TryAdd(WaitingOf(bytes))) return false;
  if (waiting_.large() && !std::exchange(joined_, true)) limits_.room->Join(weak_from_this());
  queue_.push_back(std::move(bytes));
  Advance();
  return true;
}

void GenerateStream::End(const grpc::Status& status) {
  std::function<void()> cancel;  // what it holds may hold this stream: it goes after the lock
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr || end_) return;
  end_ = status;
  cancel = std::exchange(cancel_, nullptr);
  Advance();
}

void GenerateStream::SetCancel(std::function<void()> cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      if (reactor_ != nullptr && !end_) cancel_ = std::move(cancel);
      return;
    }
  }
  cancel();
}

void GenerateStream::EndIfStalled(StallWatch::Clock::time_point before) {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr) return;
    if (const auto late = wait_.IfLate(before)) {
      cancel = Abort(*late);
    } else if (writing_ && write_began_ <= before) {
      cancel = Abort(ReaderHasStopped());
      context_->TryCancel();
    }
  }
  if (cancel) cancel();
}

std::optional<ReplyRoom::Clock::time_point> GenerateStream::Due() const {
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr || !writing_ || cancelled_) return std::nullopt;
  return due_;
}

void GenerateStream::GiveWay() {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr || !writing_) return;
    cancel = Abort(ReaderGivesWay());
    waiting_.Clear();
    context_->TryCancel();
  }
  if (cancel) cancel();
}

void GenerateStream::OnWriteDone(bool ok) {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    waiting_.Remove(std::min(waiting_.bytes(), WaitingOf(current_)));  // none after GiveWay
    current_.Clear();
    if (!ok) cancel = Abort(call_->Broken());
    Advance();
  }
  if (cancel) cancel();
}

void GenerateStream::OnCancel() {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    // As in UnaryCall::Cancel.
    if (reactor_ == nullptr && wait_.over() && !wait_.come()) call_->End(call_->Broken());
    cancel = Abort(wait_.over() ? call_->Broken() : RequestIsCut(*call_));
  }
  if (cancel) cancel();
}

std::function<void()> GenerateStream::Abort(const grpc::Status& status) {
  // An end that waited for what is dropped here is not how the call ended.
  if (!std::exchange(cancelled_, true)) end_ = status;
  for (const grpc::ByteBuffer& message : queue_) waiting_.Remove(WaitingOf(message));
  queue_.clear();
  Advance();
  return std::exchange(cancel_, nullptr);
}

void GenerateStream::Advance() {
  if (reactor_ == nullptr || writing_) return;
  if (!queue_.empty()) {
    current_ = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    due_ = ReplyRoom::DueOf(static_cast<int64_t>(current_.Length()));
    write_began_ = StallWatch::Clock::now();
    reactor_->StartWrite(&current_);
  } else if (end_) {
    call_->End(*end_);
    std::exchange(reactor_, nullptr)->Finish(*end_);
  }
}

}  // namespace binocle
