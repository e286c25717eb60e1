#include "service/grpc/upload_stream.h"

#include <utility>

#include "binocle/image_file.h"
#include "service/grpc/status.h"
#include "service/grpc/violations.h"

namespace binocle {
namespace {

// An id is a promise that a request may name it: what no request could use gets none.
void CheckPicture(std::string_view bytes, int64_t max_pixels) {
  constexpr const char* kField = "chunk";
  try {
    CheckImageFile(bytes, max_pixels, kField);
  } catch (const Error& error) {
    throw Error(error.code(), error.message(), kField);
  }
}

}  // namespace

// Lives as long as gRPC calls it.
class UploadStream::Reactor final : public Transport {
 public:
  explicit Reactor(std::shared_ptr<UploadStream> stream) : stream_(std::move(stream)) {}
  void OnReadDone(bool ok) override { stream_->OnReadDone(ok); }
  void OnCancel() override { stream_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<UploadStream> stream_;
};

UploadStream::Transport* UploadStream::Begin(grpc::CallbackServerContext& context,
                                             std::shared_ptr<CallGate::Call> call,
                                             const ServiceContext& services,
                                             v1::UploadImageResponse* response) {
  // Its pieces are watched one by one, so it is under way from the start.
  if (call->refusal().ok()) call->Begin();
  const grpc::Status refusal = call->refusal();
  std::shared_ptr<UploadStream> stream(
      new UploadStream(context, std::move(call), services, response));
  auto* reactor = new Reactor(stream);
  const std::lock_guard lock(stream->mutex_);
  stream->reactor_ = reactor;
  if (!refusal.ok()) {
    stream->End(refusal);
    return reactor;
  }
  services.stalls.Add(stream);
  stream->read_start_ = StallWatch::Clock::now();
  reactor->StartRead(&stream->piece_);
  return reactor;
}

void UploadStream::EndIfStalled(StallWatch::Clock::time_point before) {
  const std::lock_guard lock(mutex_);
  // The read that waits fails, and OnCancel ends the call.
  if (reactor_ == nullptr || read_start_ > before) return;
  stalled_ = true;
  context_->TryCancel();
}

void UploadStream::OnReadDone(bool ok) {
  const std::lock_guard lock(mutex_);
  if (reactor_ == nullptr) return;
  if (!ok && context_->IsCancelled()) return End(HowItWasCut());
  Violations unknown;
  grpc::Status status = Guarded([&] {
    if (ok) {
      CheckUnknownFields(piece_.get(), unknown);
      if (unknown.empty()) Take(piece_.get());
    } else {
      response_->set_bytes(upload_->bytes());
      response_->set_id(
          upload_->Finish([&](std::string_view bytes) { CheckPicture(bytes, max_pixels_); }));
    }
  });
  if (!unknown.empty()) status = StatusOf(unknown);
  if (!ok || !status.ok()) {
    End(status);
    return;
  }
  read_start_ = StallWatch::Clock::now();
  reactor_->StartRead(&piece_);
}

void UploadStream::OnCancel() {
  const std::lock_guard lock(mutex_);
  if (reactor_ != nullptr) End(HowItWasCut());
}

grpc::Status UploadStream::HowItWasCut() const {
  if (!stalled_) return call_->Broken();
  return StatusOf(Error(Code::kCancelled, "the client has stopped sending"));
}

void UploadStream::Take(const v1::UploadImageRequest& piece) {
  const bool first = std::exchange(first_, false);
  switch (piece.part_case()) {
    case v1::UploadImageRequest::kChunk: upload_->Append(piece.chunk()); break;
    case v1::UploadImageRequest::kMetadata:
      if (!first)
        throw Error(Code::kInvalidArgument, "metadata is not the first message, expected a chunk",
                    "metadata");
      if (piece.metadata().has_bytes()) upload_->Expect(piece.metadata().bytes());
      if (piece.metadata().has_id()) upload_->ExpectId(piece.metadata().id());
      break;
    case v1::UploadImageRequest::PART_NOT_SET:
      throw Error(Code::kInvalidArgument, "part is not set, expected metadata or a chunk", "part");
  }
}

void UploadStream::End(const grpc::Status& status) {
  upload_.reset();
  call_->End(status);
  std::exchange(reactor_, nullptr)->Finish(status);
}

}  // namespace binocle
