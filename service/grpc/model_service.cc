#include "service/grpc/model_service.h"

#include "binocle/version.h"
#include "service/grpc/convert_response.h"

namespace binocle {
namespace {

// A question about the server: `answer` fills the response unless the request has fields that nobody knows.
template <typename Proto, typename Answer>
void AnswerQuestion(UnaryCall& call, const Proto& request, const Answer& answer) {
  Violations violations;
  CheckUnknownFields(request, violations);
  call.End(violations.empty() ? Guarded(answer) : StatusOf(violations));
}

v1::ServerLimits LimitsOf(const ServiceContext& services) {
  v1::ServerLimits limits;
  limits.set_max_message_bytes(services.replies.max_message_bytes);
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

void HandleListModels(const ServiceContext& services, const grpc::CallbackServerContext&,
                      const std::shared_ptr<UnaryCall>& call, const v1::ListModelsRequest& request,
                      v1::ListModelsResponse& response) {
  AnswerQuestion(*call, request, [&] {
    for (const NamedModel& model : services.models.all())
      *response.add_models() = ModelSummaryOf(model.backend->info(), model.name);
  });
}

void HandleGetModel(const ServiceContext& services, const grpc::CallbackServerContext&,
                    const std::shared_ptr<UnaryCall>& call, const v1::GetModelRequest& request,
                    v1::GetModelResponse& response) {
  AnswerQuestion(*call, request, [&] {
    const NamedModel& model = services.models.FindOrDefault(request.model());
    *response.mutable_model() = ModelOf(model.backend->info(), model.name,
                                        request.tensors() ? WithTensors::kYes : WithTensors::kNo);
  });
}

void HandleGetServerInfo(const ServiceContext& services, const grpc::CallbackServerContext&,
                         const std::shared_ptr<UnaryCall>& call,
                         const v1::GetServerInfoRequest& request,
                         v1::GetServerInfoResponse& response) {
  AnswerQuestion(*call, request, [&] {
    response.set_version(Version());
    response.set_start_time(services.start_time);
    response.set_in_flight(services.gate.in_flight());
    response.set_draining(services.gate.draining());
    *response.mutable_limits() = LimitsOf(services);
    *response.mutable_images() = ImagesOf(services.images);
  });
}

}  // namespace

ModelServiceImpl::ModelServiceImpl(const ServiceContext& services) : EarlyService(services) {
  Serve("ListModels", CallKind::kQuestion, HandleListModels);
  Serve("GetModel", CallKind::kQuestion, HandleGetModel);
  Serve("GetServerInfo", CallKind::kQuestion, HandleGetServerInfo);
}

}  // namespace binocle
