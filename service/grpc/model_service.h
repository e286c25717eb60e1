// binocle.v1.ModelService: which models there are and what the server allows.
#pragma once

#include "binocle/v1/model_service.grpc.pb.h"
#include "service/grpc/method.h"

namespace binocle {

class ModelServiceImpl final : public EarlyService<v1::ModelService> {
 public:
  explicit ModelServiceImpl(const ServiceContext& services);
};

}  // namespace binocle
