// grpc.health.v1: whether the server takes requests, for each of its services and, by the name "", for all. Answers are those of gRPC's own
// service; bytes_call.h says why it is not that.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "service/grpc/stall_watch.h"

namespace binocle {

class HealthService {
 public:
  // `names`: full names of services, beside "".
  HealthService(std::vector<std::string> names, StallWatch& stalls);

  static bool Has(std::string_view method);  // "/grpc.health.v1.Health/Check"
  // For a method that it has.
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext& context);

  // NOT_SERVING until it is said. Those who watch are told.
  void SetServing(bool serving);

 private:
  class Check;
  class Watch;

  bool Knows(const std::string& name) const;
  bool serving() const;

  std::vector<std::string> names_;  // sorted
  StallWatch& stalls_;
  mutable std::mutex mutex_;  // guards what follows; taken under a call's lock, never around one
  bool serving_ = false;
  std::vector<std::weak_ptr<Watch>> watching_;
};

}  // namespace binocle
