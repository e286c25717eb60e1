#include "service/grpc/generate_stream.h"

#include <utility>

#include "binocle/error.h"
#include "service/grpc/status.h"

namespace binocle {

// Lives as long as gRPC calls it.
class GenerateStream::Reactor final : public grpc::ServerWriteReactor<v1::GenerateResponse> {
 public:
  explicit Reactor(std::shared_ptr<GenerateStream> stream) : stream_(std::move(stream)) {}
  void OnWriteDone(bool ok) override { stream_->OnWriteDone(ok); }
  void OnCancel() override { stream_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<GenerateStream> stream_;
};

std::shared_ptr<GenerateStream> GenerateStream::Begin(grpc::CallbackServerContext& context,
                                                      std::shared_ptr<CallGate::Call> call,
                                                      size_t max_queued) {
  std::shared_ptr<GenerateStream> stream(new GenerateStream(context, std::move(call), max_queued));
  stream->handed_ = stream->reactor_ = new Reactor(stream);
  return stream;
}

void GenerateStream::Push(v1::GenerateResponse message) {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    if (reactor_ == nullptr || end_) return;
    if (queue_.size() < max_queued_) {
      queue_.push_back(std::move(message));
      Advance();
      return;
    }
    cancel = Abort(StatusOf(Error(Code::kResourceExhausted, "the client reads too slowly")));
    // A write that waits for this client ends only with the call.
    if (writing_) context_->TryCancel();
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
    if (reactor_ == nullptr || !writing_ || write_start_ > before) return;
    cancel = Abort(StatusOf(Error(Code::kCancelled, "the client has stopped reading")));
    context_->TryCancel();
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
    cancel = Abort(call_->Broken());
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
