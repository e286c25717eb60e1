#include "service/grpc/model_service.h"

#include "binocle/version.h"
#include "service/grpc/convert_response.h"

namespace binocle {
namespace {

// A question about the server: `answer` fills the response unless the call is refused or the request has fields that nobody knows.
template <typename Proto, typename Answer>
grpc::ServerUnaryReactor* Answered(const ServiceContext& services,
                                   grpc::CallbackServerContext& context, const char* method,
                                   const Proto& request, const Answer& answer) {
  const auto call = services.gate.Enter(context, method, CallKind::kQuestion);
  const auto unary = UnaryCall::Begin(context, call, services.stalls);
  Violations violations;
  CheckUnknownFields(request, violations);
  grpc::Status status = call->refusal();
  if (status.ok()) status = violations.empty() ? Guarded(answer) : StatusOf(violations);
  unary->End(status);
  return unary->reactor();
}

v1::ServerLimits LimitsOf(const ServiceContext& services) {
  v1::ServerLimits limits;
  limits.set_max_message_bytes(services.max_message_bytes);
  limits.set_max_images(static_cast<int32_t>(services.limits.images.max_images));
  limits.set_max_image_bytes(services.limits.images.max_image_bytes);
  limits.set_max_request_image_bytes(services.limits.images.max_request_image_bytes);
  limits.set_max_image_pixels(services.max_image_pixels);
  limits.set_max_messages(static_cast<int32_t>(services.limits.max_messages));
  limits.set_max_prompt_bytes(services.limits.max_prompt_bytes);
  return limits;
}

v1::ImageStoreInfo ImagesOf(const ImageStore& store) {
  const ImageStoreCounters counters = store.counters();
  v1::ImageStoreInfo info;
  info.set_entries(counters.entries);
  info.set_bytes(counters.bytes);
  info.set_budget_bytes(store.options().budget_bytes);
  info.set_hits(counters.hits);
  info.set_misses(counters.misses);
  info.set_evictions(counters.evictions);
  return info;
}

}  // namespace

grpc::ServerUnaryReactor* ModelServiceImpl::ListModels(grpc::CallbackServerContext* context,
                                                       const v1::ListModelsRequest* request,
                                                       v1::ListModelsResponse* response) {
  return Answered(context_, *context, "ListModels", *request, [&] {
    for (const NamedModel& model : context_.models.all())
      *response->add_models() = ModelSummaryOf(model.backend->info(), model.name);
  });
}

grpc::ServerUnaryReactor* ModelServiceImpl::GetModel(grpc::CallbackServerContext* context,
                                                     const v1::GetModelRequest* request,
                                                     v1::GetModelResponse* response) {
  return Answered(context_, *context, "GetModel", *request, [&] {
    const NamedModel& model = context_.models.FindOrDefault(request->model());
    *response->mutable_model() = ModelOf(model.backend->info(), model.name,
                                         request->tensors() ? WithTensors::kYes : WithTensors::kNo);
  });
}

grpc::ServerUnaryReactor* ModelServiceImpl::GetServerInfo(grpc::CallbackServerContext* context,
                                                          const v1::GetServerInfoRequest* request,
                                                          v1::GetServerInfoResponse* response) {
  return Answered(context_, *context, "GetServerInfo", *request, [&] {
    response->set_version(Version());
    response->set_start_time(context_.start_time);
    response->set_in_flight(context_.gate.in_flight());
    response->set_draining(context_.gate.draining());
    *response->mutable_limits() = LimitsOf(context_);
    *response->mutable_images() = ImagesOf(context_.images);
  });
}

}  // namespace binocle
