#include "service/grpc/vision_language_service.h"

#include <optional>
#include <utility>

#include "binocle/busy_error.h"
#include "service/common/text.h"
#include "service/grpc/convert_response.h"
#include "service/grpc/generate_stream.h"
#include "service/grpc/upload_stream.h"

namespace binocle {
namespace {

SubmissionEvents EventsOf(const std::shared_ptr<GenerateStream>& stream, const std::string& id,
                          const std::string& model, const RequestFields& fields) {
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
  events.on_error = [stream, fields](const Error& error) {
    stream->End(Passes(error) ? StatusOf(error) : StatusOf(InFields(error, fields)));
  };
  return events;
}

// Runs `work`, which blocks, on a worker: it gives the function that fills the response. Who waits for a worker too long, or finds none,
// is told so.
using Work = std::function<std::function<void()>(const ModelBackend::KeepGoing&)>;

void RunOnWorker(const ServiceContext& services, const grpc::CallbackServerContext& context,
                 const std::shared_ptr<UnaryCall>& call, WorkerPool::About about, Work work,
                 std::optional<CallGate::Clock::time_point> limit = {}) {
  const auto late = [deadline = DeadlineOf(context), limit] {
    const auto now = CallGate::Clock::now();
    return (deadline && now >= *deadline) || (limit && now >= *limit);
  };
  const auto task = [call, late, work = std::move(work)] {
    if (call->ended()) return;
    std::function<void()> fill;
    grpc::Status status = Guarded([&] { fill = work([&] { return !call->ended() && !late(); }); });
    if (!status.ok() && late())
      status = StatusOf(Error(Code::kDeadlineExceeded, "the call's deadline has passed"));
    call->End(status, fill);
  };
  const std::optional<int64_t> number = services.workers.Post(about, task);
  if (!number) return call->End(StatusOf(BusyError("too many calls wait for a worker")));
  call->SetCancel([&workers = services.workers, number] { workers.Drop(*number); });
}

// An engine embeds one thing and calls it "text" or "prompt", or says what the model does not take: of several, which.
template <typename Embed>
Embedding Naming(const std::string& path, const Embed& embed) {
  try {
    return embed();
  } catch (const Error& error) {
    const std::string& message = error.message();
    for (const std::string_view own : {"text: ", "prompt: "}) {
      if (message.starts_with(own))
        throw Error(error.code(), Text(path, ": ", message.substr(own.size())));
    }
    if (message.ends_with("takes no pictures"))
      throw Error(error.code(), Text(path, ": ", message));
    throw;
  }
}

v1::EmbedResponse Embedded(const NamedModel& model, const EmbedInput& input,
                           const ModelBackend::KeepGoing& keep_going) {
  v1::EmbedResponse response;
  response.set_model(model.name);
  ModelBackend& backend = *model.backend;
  for (const ImageInput& image : input.images) {
    *response.add_images() = EmbeddingToProto(
        Naming(image.path, [&] { return backend.EmbedImage(image, input.options, keep_going); }));
  }
  for (size_t i = 0; i < input.texts.size(); ++i) {
    *response.add_texts() = EmbeddingToProto(Naming(Text("texts[", i, "]"), [&] {
      return backend.EmbedText(input.texts[i], input.options, keep_going);
    }));
  }
  return response;
}

v1::ExplainResponse Explained(const NamedModel& model, const ExplainInput& input,
                              const RequestFields& fields,
                              const ModelBackend::KeepGoing& keep_going) {
  try {
    return ExplainResponseOf(model.backend->Explain(input.request, input.options, keep_going),
                             model.name);
  } catch (const Error& error) {
    if (Passes(error)) throw;
    throw InFields(error, fields);
  }
}

constexpr auto kRequestOf = [](const auto& request, const ConvertContext& context,
                               Violations& violations) {
  return RequestOf(request, context, violations);
};

void HandleGenerate(const ServiceContext& services, const grpc::CallbackServerContext& context,
                    const std::shared_ptr<GenerateStream>& stream,
                    const v1::GenerateRequest& request) {
  auto prepared = Prepare<Request>(services, request, kRequestOf);
  if (!prepared.status.ok()) return stream->End(prepared.status);
  SubmissionEvents events = EventsOf(stream, request.id(), prepared.model->name, FieldsOf(request));
  SubmitFor(context, *prepared.model, stream, std::move(prepared.value), std::move(events));
}

void HandleAsk(const ServiceContext& services, const grpc::CallbackServerContext& context,
               const std::shared_ptr<UnaryCall>& call, const v1::AskRequest& request,
               v1::AskResponse& response) {
  auto prepared = Prepare<Request>(services, request, kRequestOf);
  if (!prepared.status.ok()) return call->End(prepared.status);
  AskFor(context, *prepared.model, call,
         {.request = std::move(prepared.value),
          .fill = [&response](v1::AskResponse& answer) { response.Swap(&answer); },
          .status_of =
              [fields = FieldsOf(request)](const Error& error) {
                return Passes(error) ? StatusOf(error) : StatusOf(InFields(error, fields));
              }});
}

void HandleEmbed(const ServiceContext& services, const grpc::CallbackServerContext& context,
                 const std::shared_ptr<UnaryCall>& call, const v1::EmbedRequest& request,
                 v1::EmbedResponse& response) {
  auto prepared = Prepare<EmbedInput>(services, request, EmbedInputOf);
  if (!prepared.status.ok()) return call->End(prepared.status);
  const auto about =
      prepared.value.images.empty() ? WorkerPool::About::kWords : WorkerPool::About::kPictures;
  RunOnWorker(services, context, call, about,
              [model = *prepared.model, input = std::move(prepared.value),
               &response](const ModelBackend::KeepGoing& keep_going) {
                auto made = std::make_shared<v1::EmbedResponse>(Embedded(model, input, keep_going));
                return [made, &response] { response.Swap(made.get()); };
              });
}

void HandleExplain(const ServiceContext& services, const grpc::CallbackServerContext& context,
                   const std::shared_ptr<UnaryCall>& call, const v1::ExplainRequest& request,
                   v1::ExplainResponse& response) {
  auto prepared = Prepare<ExplainInput>(services, request, ExplainInputOf);
  if (!prepared.status.ok()) return call->End(prepared.status);
  prepared.model->backend->LimitTime(prepared.value.request);
  const auto limit = prepared.value.request.deadline;
  RunOnWorker(
      services, context, call, WorkerPool::About::kPictures,
      [model = *prepared.model, input = std::move(prepared.value), fields = FieldsOf(request),
       &response](const ModelBackend::KeepGoing& keep_going) {
        auto made =
            std::make_shared<v1::ExplainResponse>(Explained(model, input, fields, keep_going));
        return [made, &response] { response.Swap(made.get()); };
      },
      limit);
}

}  // namespace

VisionLanguageServiceImpl::VisionLanguageServiceImpl(const ServiceContext& services)
    : EarlyService(services) {
  Begin<v1::GenerateRequest>("Generate", [&services](grpc::CallbackServerContext* context) {
    const auto call = services.gate.Enter(*context, "Generate", CallKind::kRequest);
    return GenerateStream::Begin(
        *context, call, services,
        [&services, context](const auto& stream, const v1::GenerateRequest& request) {
          HandleGenerate(services, *context, stream, request);
        });
  });
  Serve("Ask", CallKind::kRequest, HandleAsk);
  Serve("Embed", CallKind::kRequest, HandleEmbed);
  Serve("Explain", CallKind::kRequest, HandleExplain);
  BeginPieces<v1::UploadImageRequest, v1::UploadImageResponse>(
      "UploadImage",
      [&services](grpc::CallbackServerContext* context, v1::UploadImageResponse* response) {
        auto call = services.gate.Enter(*context, "UploadImage", CallKind::kRequest);
        return UploadStream::Begin(*context, std::move(call), services, response);
      });
}

}  // namespace binocle
