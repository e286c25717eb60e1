// KServe's inference.GRPCInferenceService, thin: its questions become those of binocle.v1. ServerLive and ServerReady are for probes and
// ask for no token.
#pragma once

#include "inference/grpc_service.grpc.pb.h"
#include "service/grpc/method.h"

namespace binocle {

class InferenceServiceImpl final : public EarlyService<inference::GRPCInferenceService> {
 public:
  explicit InferenceServiceImpl(const ServiceContext& services);
};

}  // namespace binocle
