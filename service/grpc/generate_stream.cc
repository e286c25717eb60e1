#include "service/grpc/generate_stream.h"

#include <utility>

#include "binocle/error.h"
#include "service/grpc/status.h"

namespace binocle {

// Lives as long as gRPC calls it.
class GenerateStream::Reactor final : public Transport {
 public:
  Reactor(std::shared_ptr<GenerateStream> stream, Handle handle)
      : stream_(std::move(stream)), handle_(std::move(handle)) {}
  void Read() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!stream_->TakeRequest(ok)) return;
    const grpc::Status status = Guarded([&] { handle_(stream_, request_.get()); });
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

bool GenerateStream::TakeRequest(bool come) {
  grpc::Status refusal;
  {
    const std::lock_guard lock(mutex_);
    since_.reset();
    if (reactor_ == nullptr) return false;
    if (come) call_->Begin();
    refusal = come ? call_->refusal() : RequestIsMissing(*context_);
  }
  if (refusal.ok()) return true;
  End(refusal);
  return false;
}

void GenerateStream::Push(v1::GenerateResponse message) {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr || end_) return;
    const grpc::Status status = StatusOfReply(message.ByteSizeLong(), max_message_bytes_);
    if (status.ok() && queue_.size() < max_queued_) {
      queue_.push_back(std::move(message));
      Advance();
      return;
    }
    const bool slow = status.ok();
    cancel = Abort(slow ? StatusOf(Error(Code::kResourceExhausted, "the client reads too slowly"))
                        : status);
    // A write that waits for this client ends only with the call.
    if (slow && writing_) context_->TryCancel();
  }
  if (cancel) cancel();
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
    if (since_ && *since_ <= before) {
      cancel = Abort(RequestIsLate());
    } else if (writing_ && write_start_ <= before) {
      cancel = Abort(StatusOf(Error(Code::kCancelled, "the client has stopped reading")));
      context_->TryCancel();
    }
  }
  if (cancel) cancel();
}

void GenerateStream::OnWriteDone(bool ok) {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) cancel = Abort(call_->Broken());
    Advance();
  }
  if (cancel) cancel();
}

void GenerateStream::OnCancel() {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    cancel = Abort(since_ ? RequestIsCut() : call_->Broken());
  }
  if (cancel) cancel();
}

std::function<void()> GenerateStream::Abort(const grpc::Status& status) {
  // An end that waited for what is dropped here is not how the call ended.
  if (!std::exchange(cancelled_, true)) end_ = status;
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
    write_start_ = StallWatch::Clock::now();
    reactor_->StartWrite(&current_);
  } else if (end_) {
    call_->End(*end_);
    std::exchange(reactor_, nullptr)->Finish(*end_);
  }
}

}  // namespace binocle
