#include "service/grpc/inference_service.h"

#include <string>
#include <string_view>
#include <utility>

#include "binocle/version.h"
#include "service/grpc/convert_infer.h"

namespace binocle {
namespace {

// `field` has the name.
const NamedModel& FindModel(const ServiceContext& services, const std::string& name,
                            const char* field) {
  constexpr std::string_view kOption = "model";
  try {
    return services.models.FindOrDefault(name);
  } catch (const Error& error) {
    if (error.option() != kOption) throw;
    throw Error(error.code(), field + error.message().substr(kOption.size()), field);
  }
}

const NamedModel& FindVersion(const ServiceContext& services, const std::string& name,
                              const std::string& version) {
  if (!version.empty() && version != "1")
    throw Error(Code::kNotFound, "version is not 1, the one that there is", "version");
  return FindModel(services, name, "name");
}

// The model is found by AskRequest::model; violations get the paths that the client knows.
Request RequestFor(const v1::AskRequest& ask, const ConvertContext& context,
                   const InferFields& fields, Violations& violations) {
  Violations found;
  Request request = RequestOf(ask, context, found);
  violations = InferViolationsOf(found.list(), fields);
  return request;
}

// What the engine says.
grpc::Status InferStatusOf(const Error& error, const InferFields& fields) {
  const Violations violations = InferViolationsOf(ViolationsOf(error), fields);
  return violations.empty() ? StatusOf(error) : StatusOf(violations);
}

void HandleServerLive(const ServiceContext&, const grpc::CallbackServerContext&,
                      const std::shared_ptr<UnaryCall>& call, const inference::ServerLiveRequest&,
                      inference::ServerLiveResponse& response) {
  response.set_live(true);
  call->End(grpc::Status::OK);
}

void HandleServerReady(const ServiceContext& services, const grpc::CallbackServerContext&,
                       const std::shared_ptr<UnaryCall>& call, const inference::ServerReadyRequest&,
                       inference::ServerReadyResponse& response) {
  response.set_ready(!services.gate.draining());
  call->End(grpc::Status::OK);
}

void HandleModelReady(const ServiceContext& services, const grpc::CallbackServerContext&,
                      const std::shared_ptr<UnaryCall>& call,
                      const inference::ModelReadyRequest& request,
                      inference::ModelReadyResponse& response) {
  call->End(Guarded([&] {
    try {
      FindVersion(services, request.name(), request.version());
      response.set_ready(!services.gate.draining());
    } catch (const Error&) {
      response.set_ready(false);
    }
  }));
}

void HandleServerMetadata(const ServiceContext&, const grpc::CallbackServerContext&,
                          const std::shared_ptr<UnaryCall>& call,
                          const inference::ServerMetadataRequest&,
                          inference::ServerMetadataResponse& response) {
  response.set_name("binocle");
  response.set_version(Version());
  call->End(grpc::Status::OK);
}

void HandleModelMetadata(const ServiceContext& services, const grpc::CallbackServerContext&,
                         const std::shared_ptr<UnaryCall>& call,
                         const inference::ModelMetadataRequest& request,
                         inference::ModelMetadataResponse& response) {
  call->End(Guarded([&] {
    response = InferMetadataOf(FindVersion(services, request.name(), request.version()).name);
  }));
}

void HandleModelInfer(const ServiceContext& services, const grpc::CallbackServerContext& context,
                      const std::shared_ptr<UnaryCall>& call,
                      const inference::ModelInferRequest& request,
                      inference::ModelInferResponse& response) {
  Violations violations;
  const v1::AskRequest ask = AskRequestOf(request, violations);
  if (!violations.empty()) return call->End(StatusOf(violations));
  FindModel(services, request.model_name(), "model_name");
  const InferFields fields = InferFieldsOf(request);
  auto prepared = Prepare<Request>(
      services, ask, [&](const auto& proto, const ConvertContext& from, Violations& found) {
        return RequestFor(proto, from, fields, found);
      });
  if (!prepared.status.ok()) return call->End(prepared.status);
  AskFor(context, *prepared.model, call,
         {.request = std::move(prepared.value),
          .fill = [&request, &response](
                      v1::AskResponse& answer) { response = InferResponseOf(answer, request); },
          .status_of =
              [fields, own = FieldsOf(ask)](const Error& error) {
                if (Passes(error)) return StatusOf(error);
                return InferStatusOf(InFields(error, own), fields);
              }});
}

}  // namespace

InferenceServiceImpl::InferenceServiceImpl(const ServiceContext& services)
    : EarlyService(services) {
  Serve("ServerLive", CallKind::kProbe, HandleServerLive);
  Serve("ServerReady", CallKind::kProbe, HandleServerReady);
  Serve("ModelReady", CallKind::kQuestion, HandleModelReady);
  Serve("ServerMetadata", CallKind::kQuestion, HandleServerMetadata);
  Serve("ModelMetadata", CallKind::kQuestion, HandleModelMetadata);
  Serve("ModelInfer", CallKind::kRequest, HandleModelInfer,
        RequestIs::kKept);  // the reply repeats some of it
}

}  // namespace binocle
