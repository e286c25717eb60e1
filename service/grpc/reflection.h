// Server reflection: which services there are and what their messages look like, for clients that have no generated code.
//
// grpc.reflection.v1alpha as gRPC's plugin speaks it, and v1, which is the same under another name. The plugin takes messages of any
// shape up to max_message_bytes and makes fifty times as much of them in memory, from everybody, for as long as they like. Here a request
// is bytes, short ones, that are never made a message of protobuf's.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "service/grpc/health.h"
#include "service/grpc/stall_watch.h"

namespace binocle {

// A ServerReflectionResponse to a ServerReflectionRequest, both on the wire; nothing where the request is none.
std::optional<std::string> AnswerReflection(std::string_view request,
                                            const std::vector<std::string>& services);

// Also takes every method that the server has nowhere else: health's, which it passes on, and those that there are not, which end with
// UNIMPLEMENTED. A server has one such service.
class ReflectionService final : public grpc::CallbackGenericService {
 public:
  // `services`: full names of those to list. Reflection itself is not among them: its description is in gRPC's library, which registers
  // the plugin wherever it is linked.
  ReflectionService(std::vector<std::string> services, HealthService& health, StallWatch& stalls);

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  class Stream;

  std::vector<std::string> services_;
  HealthService& health_;
  StallWatch& stalls_;
};

}  // namespace binocle
