// One upload: reads pieces, and answers when the client has sent its last.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <mutex>
#include <optional>

#include "binocle/v1/vision_language_service.pb.h"
#include "service/grpc/call_gate.h"
#include "service/grpc/image_store.h"
#include "service/grpc/incoming.h"
#include "service/grpc/service_context.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by the reactor and the watch.
class UploadStream final : public StallWatch::Watched {
 public:
  using Transport = grpc::ServerReadReactor<Incoming<v1::UploadImageRequest>>;

  // Refused calls end at once. The reactor goes to gRPC and deletes itself.
  static Transport* Begin(grpc::CallbackServerContext& context,
                          std::shared_ptr<CallGate::Call> call, const ServiceContext& services,
                          v1::UploadImageResponse* response);

  void EndIfStalled(StallWatch::Clock::time_point before) override;

 private:
  class Reactor;

  UploadStream(grpc::CallbackServerContext& context, std::shared_ptr<CallGate::Call> call,
               const ServiceContext& services, v1::UploadImageResponse* response)
      : context_(&context),
        call_(std::move(call)),
        max_pixels_(services.max_image_pixels),
        upload_(std::in_place, services.images),
        response_(response) {}
  void OnReadDone(bool ok);
  void OnCancel();
  // These two with `mutex_` held.
  void Take(const v1::UploadImageRequest& piece);
  void End(const grpc::Status& status);
  grpc::Status HowItWasCut() const;

  std::mutex mutex_;                      // guards what follows
  grpc::CallbackServerContext* context_;  // gRPC's, there as long as reactor_ is
  std::shared_ptr<CallGate::Call> call_;  // shared with nobody who outlives the stream
  Reactor* reactor_ = nullptr;            // null once finished
  const int64_t max_pixels_;
  std::optional<ImageUpload> upload_;       // dropped at the end, with the room it holds
  v1::UploadImageResponse* response_;       // gRPC's, there as long as reactor_ is
  Incoming<v1::UploadImageRequest> piece_;  // being read
  bool first_ = true;
  bool stalled_ = false;
  StallWatch::Clock::time_point read_start_;
};

}  // namespace binocle
