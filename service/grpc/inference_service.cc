#include "service/grpc/inference_service.h"

#include <functional>
#include <string>
#include <utility>

#include "binocle/version.h"
#include "service/grpc/convert_infer.h"

namespace binocle {
namespace {

grpc::ServerUnaryReactor* Finished(grpc::CallbackServerContext& context) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* Answered(const ServiceContext& services,
                                   grpc::CallbackServerContext& context, const char* method,
                                   const std::function<void()>& answer) {
  const auto call = services.gate.Enter(context, method, CallKind::kQuestion);
  const auto unary = UnaryCall::Begin(context, call, services.stalls);
  unary->End(call->refusal().ok() ? Guarded(answer) : call->refusal());
  return unary->reactor();
}

const NamedModel& FindVersion(const ServiceContext& services, const std::string& name,
                              const std::string& version) {
  if (!version.empty() && version != "1")
    throw Error(Code::kNotFound, "version is not 1, the one that there is");
  return services.models.FindOrDefault(name);
}

// The model is found by AskRequest::model; violations get the paths that the client knows.
Request RequestFor(const v1::AskRequest& ask, const ConvertContext& context,
                   Violations& violations) {
  Violations found;
  Request request = RequestOf(ask, context, found);
  violations = InferViolationsOf(found);
  return request;
}

}  // namespace

grpc::ServerUnaryReactor* InferenceServiceImpl::ServerLive(
    grpc::CallbackServerContext* context, const inference::ServerLiveRequest*,
    inference::ServerLiveResponse* response) {
  response->set_live(true);
  return Finished(*context);
}

grpc::ServerUnaryReactor* InferenceServiceImpl::ServerReady(
    grpc::CallbackServerContext* context, const inference::ServerReadyRequest*,
    inference::ServerReadyResponse* response) {
  response->set_ready(!context_.gate.draining());
  return Finished(*context);
}

grpc::ServerUnaryReactor* InferenceServiceImpl::ModelReady(
    grpc::CallbackServerContext* context, const inference::ModelReadyRequest* request,
    inference::ModelReadyResponse* response) {
  return Answered(context_, *context, "ModelReady", [&] {
    try {
      FindVersion(context_, request->name(), request->version());
      response->set_ready(!context_.gate.draining());
    } catch (const Error&) {
      response->set_ready(false);
    }
  });
}

grpc::ServerUnaryReactor* InferenceServiceImpl::ServerMetadata(
    grpc::CallbackServerContext* context, const inference::ServerMetadataRequest*,
    inference::ServerMetadataResponse* response) {
  return Answered(context_, *context, "ServerMetadata", [&] {
    response->set_name("binocle");
    response->set_version(Version());
  });
}

grpc::ServerUnaryReactor* InferenceServiceImpl::ModelMetadata(
    grpc::CallbackServerContext* context, const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  return Answered(context_, *context, "ModelMetadata", [&] {
    *response = InferMetadataOf(FindVersion(context_, request->name(), request->version()).name);
  });
}

grpc::ServerUnaryReactor* InferenceServiceImpl::ModelInfer(
    grpc::CallbackServerContext* context, const inference::ModelInferRequest* request,
    inference::ModelInferResponse* response) {
  const auto call = context_.gate.Enter(*context, "ModelInfer", CallKind::kRequest);
  const auto unary = UnaryCall::Begin(*context, call, context_.stalls);
  v1::AskRequest ask;
  Violations violations;
  grpc::Status status = call->refusal();
  if (status.ok()) status = Guarded([&] { ask = AskRequestOf(*request, violations); });
  if (status.ok() && !violations.empty()) status = StatusOf(violations);
  Prepared<Request> prepared{.status = status, .model = nullptr, .value = {}};
  if (status.ok()) prepared = Prepare<Request>(context_, *call, ask, RequestFor);
  if (!prepared.status.ok()) {
    unary->End(prepared.status);
    return unary->reactor();
  }
  // gRPC's request is there until the call ends, and this runs before.
  AskFor(*context, *prepared.model, unary, std::move(prepared.value),
         [request, response](v1::AskResponse& answer) {
           *response = InferResponseOf(answer, *request);
         });
  return unary->reactor();
}

}  // namespace binocle
