// binocle.v1.VisionLanguageService: each method translates and nothing else.
#pragma once

#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "service/grpc/method.h"

namespace binocle {

class VisionLanguageServiceImpl final
    : public EarlyService<v1::VisionLanguageService,
                          v1::VisionLanguageService::WithCallbackMethod_UploadImage<
                              v1::VisionLanguageService::Service>> {
 public:
  explicit VisionLanguageServiceImpl(const ServiceContext& services);

  grpc::ServerReadReactor<v1::UploadImageRequest>* UploadImage(
      grpc::CallbackServerContext* context, v1::UploadImageResponse* response) override;
};

}  // namespace binocle
