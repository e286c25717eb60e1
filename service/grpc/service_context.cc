#include "service/grpc/service_context.h"

#include "service/grpc/convert_response.h"

namespace binocle {

std::string ServedImages::ById(const std::string& id) {
  const ImageStore::Bytes bytes = context_.images.Find(id);
  if (bytes == nullptr)
    throw Error(Code::kNotFound,
                "is not among the pictures that the server keeps: upload it again");
  return *bytes;
}

std::string ServedImages::ByUri(const std::string& uri) {
  return context_.uris.Read(uri, context_.limits.images.max_image_bytes);
}

void AskFor(const grpc::CallbackServerContext& context, const NamedModel& model,
            const std::shared_ptr<UnaryCall>& call, Question question) {
  SubmissionEvents events;
  events.on_finished = [call, fill = std::move(question.fill),
                        name = model.name](const Response& response) {
    v1::AskResponse answer;
    const grpc::Status status = Guarded([&] { answer = AskResponseOf(response, name); });
    call->End(status, [&] {
      if (status.ok()) fill(answer);
    });
  };
  events.on_error = [call, status_of = std::move(question.status_of)](const Error& error) {
    call->End(status_of(error));
  };
  SubmitFor(context, model, call, std::move(question.request), std::move(events));
}

}  // namespace binocle
