#include "service/grpc/bytes_call.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <grpcpp/support/status.h>

#include <utility>

#include "service/common/text.h"
#include "service/grpc/request_wait.h"

namespace binocle {

// Lives as long as gRPC calls it.
class BytesCall::Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Reactor(std::shared_ptr<BytesCall> call) : call_(std::move(call)) {}
  void OnReadDone(bool ok) override { call_->OnReadDone(ok); }
  void OnWriteDone(bool ok) override { call_->OnWriteDone(ok); }
  void OnCancel() override { call_->OnCancel(); }
  void OnDone() override {
    call_->OnDone();
    delete this;
  }

 private:
  const std::shared_ptr<BytesCall> call_;
};

grpc::ServerGenericBidiReactor* BytesCall::Begin(const std::shared_ptr<BytesCall>& call,
                                                 StallWatch& stalls) {
  auto* reactor = new Reactor(call);
  const std::lock_guard lock(call->mutex_);
  call->reactor_ = reactor;
  call->Read();
  stalls.Add(call);
  return reactor;
}

void BytesCall::EndIfStalled(StallWatch::Clock::time_point before) {
  const std::lock_guard lock(mutex_);
  if (context_ == nullptr || waiting_ == Waiting::kForUs || since_ > before) return;
  // A write that waits for this client, the last one too, ends only with the call.
  if (waiting_ == Waiting::kForReader) return context_->TryCancel();
  if (reactor_ != nullptr) End(only_ ? RequestHasNoEnd() : RequestIsLate());
}

void BytesCall::Read() {
  waiting_ = Waiting::kForRequest;
  since_ = StallWatch::Clock::now();
  reactor_->StartRead(&request_);
}

void BytesCall::Write(std::string_view bytes) {
  const grpc::Slice out(bytes.data(), bytes.size());
  response_ = grpc::ByteBuffer(&out, 1);
  waiting_ = Waiting::kForReader;
  since_ = StallWatch::Clock::now();
  reactor_->StartWrite(&response_);
}

void BytesCall::WriteLast(std::string_view bytes) {
  const grpc::Slice out(bytes.data(), bytes.size());
  response_ = grpc::ByteBuffer(&out, 1);
  waiting_ = Waiting::kForReader;
  since_ = StallWatch::Clock::now();
  std::exchange(reactor_, nullptr)->StartWriteAndFinish(&response_, {}, grpc::Status::OK);
}

void BytesCall::Wait() {
  waiting_ = Waiting::kForUs;
  // A client that left while something was on its way to it is not told of again.
  if (cancelled_) End(grpc::Status::CANCELLED);
}

void BytesCall::End(const grpc::Status& status) {
  std::exchange(reactor_, nullptr)->Finish(status);
}

void BytesCall::OnReadDone(bool ok) {
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr) return;
  if (!ok) return only_ ? OnRequest(*std::exchange(only_, std::nullopt)) : OnNoRequest();
  if (only_) {
    request_.Clear();
    return End(RequestHasNoEnd());
  }
  if (request_.Length() > kMaxRequestBytes) {
    request_.Clear();
    return End({grpc::StatusCode::RESOURCE_EXHAUSTED,
                Text("the request is longer than ", kMaxRequestBytes, " bytes")});
  }
  grpc::Slice slice;
  if (!request_.TrySingleSlice(&slice).ok()) request_.DumpToSingleSlice(&slice);
  request_.Clear();
  const std::string_view bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
  if (requests_ == Requests::kMany) return OnRequest(bytes);
  only_ = bytes;
  reactor_->StartRead(&request_);  // its end has what is left of the message's time
}

void BytesCall::OnWriteDone(bool ok) {
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr) return;
  if (ok) return OnSent();
  End({grpc::StatusCode::CANCELLED, "the client has gone, or has stopped reading"});
}

void BytesCall::OnCancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  // Reads and writes that are under way come back by themselves.
  if (waits()) End(grpc::Status::CANCELLED);
}

void BytesCall::OnDone() {
  const std::lock_guard lock(mutex_);
  context_ = nullptr;
}

}  // namespace binocle
