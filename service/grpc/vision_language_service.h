// binocle.v1.VisionLanguageService: each method translates and nothing else.
#pragma once

#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "service/grpc/method.h"

namespace binocle {

class VisionLanguageServiceImpl final : public EarlyService<v1::VisionLanguageService> {
 public:
  explicit VisionLanguageServiceImpl(const ServiceContext& services);
};

}  // namespace binocle
