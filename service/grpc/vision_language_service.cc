#include "service/grpc/vision_language_service.h"

#include <utility>

#include "service/common/text.h"
#include "service/grpc/convert_response.h"
#include "service/grpc/generate_stream.h"
#include "service/grpc/upload_stream.h"

namespace binocle {
namespace {

SubmissionEvents EventsOf(const std::shared_ptr<GenerateStream>& stream, const std::string& id,
                          const std::string& model) {
  // Events do not throw: memory that runs out ends the stream.
  const auto push = [stream](const auto& make) {
    const grpc::Status status = Guarded([&] { stream->Push(make()); });
    if (!status.ok()) stream->End(status);
  };
  SubmissionEvents events;
  events.on_started = [push, id, model](const Started& started) {
    push([&] { return StartedOf(started, id, model); });
  };
  events.on_delta = [push](const Delta& delta) { push([&] { return DeltaOf(delta); }); };
  events.on_finished = [push, stream](const Response& response) {
    push([&] { return FinishedOf(response); });
    stream->End(grpc::Status::OK);
  };
  events.on_error = [stream](const Error& error) { stream->End(StatusOf(error)); };
  return events;
}

// Runs `work`, which blocks, on a worker: it gives the function that fills the response. Who waits for a worker too long, or finds none,
// is told so.
using Work = std::function<std::function<void()>(const ModelBackend::KeepGoing&)>;

void RunOnWorker(const ServiceContext& services, const grpc::CallbackServerContext& context,
                 const std::shared_ptr<UnaryCall>& call, Work work) {
  const auto deadline = DeadlineOf(context);
  const auto late = [deadline] { return deadline && CallGate::Clock::now() >= *deadline; };
  const bool posted = services.workers.Post([call, late, work = std::move(work)] {
    std::function<void()> fill;
    grpc::Status status = Guarded([&] { fill = work([&] { return !call->ended() && !late(); }); });
    if (!status.ok() && late())
      status = StatusOf(Error(Code::kDeadlineExceeded, "the call's deadline has passed"));
    call->End(status, fill);
  });
  if (!posted)
    call->End(StatusOf(Error(Code::kResourceExhausted, "too many calls wait for a worker")));
}

v1::EmbedResponse Embedded(const NamedModel& model, const EmbedInput& input,
                           const ModelBackend::KeepGoing& keep_going) {
  v1::EmbedResponse response;
  response.set_model(model.name);
  for (const ImageInput& image : input.images) {
    *response.add_images() =
        EmbeddingToProto(model.backend->EmbedImage(image, input.options, keep_going));
  }
  for (size_t i = 0; i < input.texts.size(); ++i) {
    try {
      *response.add_texts() =
          EmbeddingToProto(model.backend->EmbedText(input.texts[i], input.options, keep_going));
    } catch (const Error& error) {
      // "text: has 600 tokens …": of several, which.
      if (!error.message().starts_with("text: ")) throw;
      throw Error(error.code(), Text("texts[", i, "]", error.message().substr(4)));
    }
  }
  return response;
}

constexpr auto kRequestOf = [](const auto& request, const ConvertContext& context,
                               Violations& violations) {
  return RequestOf(request, context, violations);
};

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* VisionLanguageServiceImpl::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  const auto call = context_.gate.Enter(*context, "Generate", CallKind::kRequest);
  const auto stream = GenerateStream::Begin(*context, call, context_.max_queued_messages);
  auto prepared = Prepare<Request>(context_, *call, *request, kRequestOf);
  if (!prepared.status.ok()) {
    stream->End(prepared.status);
  } else {
    context_.stalls.Add(stream);
    SubmissionEvents events = EventsOf(stream, request->id(), prepared.model->name);
    SubmitFor(*context, *prepared.model, stream, std::move(prepared.value), std::move(events));
  }
  return stream->reactor();
}

grpc::ServerUnaryReactor* VisionLanguageServiceImpl::Ask(grpc::CallbackServerContext* context,
                                                         const v1::AskRequest* request,
                                                         v1::AskResponse* response) {
  const auto call = context_.gate.Enter(*context, "Ask", CallKind::kRequest);
  const auto unary = UnaryCall::Begin(*context, call, context_.stalls);
  auto prepared = Prepare<Request>(context_, *call, *request, kRequestOf);
  if (!prepared.status.ok()) {
    unary->End(prepared.status);
  } else {
    AskFor(*context, *prepared.model, unary, std::move(prepared.value),
           [response](v1::AskResponse& answer) { response->Swap(&answer); });
  }
  return unary->reactor();
}

grpc::ServerUnaryReactor* VisionLanguageServiceImpl::Embed(grpc::CallbackServerContext* context,
                                                           const v1::EmbedRequest* request,
                                                           v1::EmbedResponse* response) {
  const auto call = context_.gate.Enter(*context, "Embed", CallKind::kRequest);
  const auto unary = UnaryCall::Begin(*context, call, context_.stalls);
  auto prepared = Prepare<EmbedInput>(context_, *call, *request, EmbedInputOf);
  if (!prepared.status.ok()) {
    unary->End(prepared.status);
    return unary->reactor();
  }
  RunOnWorker(context_, *context, unary,
              [model = *prepared.model, input = std::move(prepared.value),
               response](const ModelBackend::KeepGoing& keep_going) {
                auto made = std::make_shared<v1::EmbedResponse>(Embedded(model, input, keep_going));
                return [made, response] { response->Swap(made.get()); };
              });
  return unary->reactor();
}

grpc::ServerUnaryReactor* VisionLanguageServiceImpl::Explain(grpc::CallbackServerContext* context,
                                                             const v1::ExplainRequest* request,
                                                             v1::ExplainResponse* response) {
  const auto call = context_.gate.Enter(*context, "Explain", CallKind::kRequest);
  const auto unary = UnaryCall::Begin(*context, call, context_.stalls);
  auto prepared = Prepare<ExplainInput>(context_, *call, *request, ExplainInputOf);
  if (!prepared.status.ok()) {
    unary->End(prepared.status);
    return unary->reactor();
  }
  RunOnWorker(context_, *context, unary,
              [model = *prepared.model, input = std::move(prepared.value),
               response](const ModelBackend::KeepGoing& keep_going) {
                auto made = std::make_shared<v1::ExplainResponse>(ExplainResponseOf(
                    model.backend->Explain(input.request, input.options, keep_going), model.name));
                return [made, response] { response->Swap(made.get()); };
              });
  return unary->reactor();
}

grpc::ServerReadReactor<v1::UploadImageRequest>* VisionLanguageServiceImpl::UploadImage(
    grpc::CallbackServerContext* context, v1::UploadImageResponse* response) {
  auto call = context_.gate.Enter(*context, "UploadImage", CallKind::kRequest);
  return UploadStream::Begin(*context, std::move(call), context_, response);
}

}  // namespace binocle
