#include "service/grpc/unary_call.h"

#include <utility>

namespace binocle {

// Lives as long as gRPC calls it.
class UnaryCall::Reactor final : public grpc::ServerUnaryReactor {
 public:
  explicit Reactor(std::shared_ptr<UnaryCall> call) : call_(std::move(call)) {}
  void OnCancel() override { call_->Cancel(); }
  void OnDone() override {
    call_->Done();
    delete this;
  }

 private:
  std::shared_ptr<UnaryCall> call_;
};

std::shared_ptr<UnaryCall> UnaryCall::Begin(grpc::CallbackServerContext& context,
                                            std::shared_ptr<CallGate::Call> call,
                                            StallWatch& stalls) {
  std::shared_ptr<UnaryCall> unary(new UnaryCall(context, std::move(call)));
  unary->reactor_ = unary->handed_ = new Reactor(unary);
  stalls.Add(unary);
  return unary;
}

void UnaryCall::End(const grpc::Status& status, const std::function<void()>& fill) {
  // What these hold may hold this call: it goes after the lock.
  std::function<void()> cancel;
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr) return;
  if (fill) fill();
  cancel = std::exchange(cancel_, nullptr);
  grpc::ServerUnaryReactor* reactor = std::exchange(reactor_, nullptr);
  call_->End(status);
  end_ = StallWatch::Clock::now();
  reactor->Finish(status);
}

void UnaryCall::EndIfStalled(StallWatch::Clock::time_point before) {
  const std::lock_guard lock(mutex_);
  if (context_ != nullptr && end_ && *end_ <= before) context_->TryCancel();
}

void UnaryCall::Done() {
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

void UnaryCall::SetCancel(std::function<void()> cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!cancelled_) {
      if (reactor_ != nullptr) cancel_ = std::move(cancel);
      return;
    }
  }
  cancel();
}

bool UnaryCall::ended() const {
  const std::lock_guard lock(mutex_);
  return reactor_ == nullptr;
}

void UnaryCall::Cancel() {
  std::function<void()> cancel;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    cancel = std::exchange(cancel_, nullptr);
  }
  if (cancel) cancel();
  End(call_->Broken());
}

}  // namespace binocle
