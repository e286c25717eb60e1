// binocle.v1.VisionLanguageService: each method translates and nothing else.
#pragma once

#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "service/grpc/service_context.h"

namespace binocle {

class VisionLanguageServiceImpl final : public v1::VisionLanguageService::CallbackService {
 public:
  explicit VisionLanguageServiceImpl(const ServiceContext& context) : context_(context) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override;
  grpc::ServerUnaryReactor* Ask(grpc::CallbackServerContext* context, const v1::AskRequest* request,
                                v1::AskResponse* response) override;
  grpc::ServerUnaryReactor* Embed(grpc::CallbackServerContext* context,
                                  const v1::EmbedRequest* request,
                                  v1::EmbedResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;
  grpc::ServerReadReactor<v1::UploadImageRequest>* UploadImage(
      grpc::CallbackServerContext* context, v1::UploadImageResponse* response) override;

 private:
  const ServiceContext& context_;
};

}  // namespace binocle
