// What all services of a server share, and the steps that their methods have in common.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "binocle/v1/vision_language_service.pb.h"
#include "service/common/model_backend.h"
#include "service/grpc/call_gate.h"
#include "service/grpc/convert_request.h"
#include "service/grpc/image_store.h"
#include "service/grpc/reply_limits.h"
#include "service/grpc/stall_watch.h"
#include "service/grpc/status.h"
#include "service/grpc/unary_call.h"
#include "service/grpc/uri_reader.h"
#include "service/grpc/worker_pool.h"

namespace binocle {

struct ServiceContext {
  const ModelList& models;
  const RequestLimits& limits;
  const ReplyLimits& replies;
  int64_t max_image_pixels;
  size_t max_queued_messages;
  int64_t start_time;  // seconds since 1970
  CallGate& gate;
  ImageStore& images;
  const UriReader& uris;
  WorkerPool& workers;
  StallWatch& stalls;
};

// Pictures that were uploaded, and files that are allowed.
class ServedImages final : public ImageSource {
 public:
  explicit ServedImages(const ServiceContext& context) : context_(context) {}
  std::string ById(const std::string& id) override;
  std::string ByUri(const std::string& uri) override;

 private:
  const ServiceContext& context_;
};

// A request, converted, and the model that it is for. Both are set where the status is OK.
template <typename Converted>
struct Prepared {
  grpc::Status status;
  const NamedModel* model = nullptr;
  Converted value;
};

// `convert` is called as (request, ConvertContext, Violations).
template <typename Converted, typename Proto, typename Convert>
Prepared<Converted> Prepare(const ServiceContext& context, const Proto& request,
                            const Convert& convert) {
  Prepared<Converted> prepared;
  Violations violations;
  prepared.status = Guarded([&] {
    prepared.model = &context.models.FindOrDefault(request.model());
    // A few bytes name uploads and files of megabytes, which are copied now.
    if constexpr (std::is_same_v<Converted, Request>) prepared.model->backend->CheckRoom();
    ServedImages images(context);
    prepared.value =
        convert(request, ConvertContext{prepared.model->backend->info(), context.limits, images},
                violations);
  });
  if (prepared.status.ok() && !violations.empty()) prepared.status = StatusOf(violations);
  return prepared;
}

// Submits a request whose call is a UnaryCall or a GenerateStream: its deadline is the call's, and the call's end cancels it. An error that
// the backend throws is an event too.
template <typename Caller>
void SubmitFor(const grpc::CallbackServerContext& context, const NamedModel& model,
               const std::shared_ptr<Caller>& caller, Request request, SubmissionEvents events) {
  request.deadline = DeadlineOf(context);
  const std::function<void(const Error&)> on_error = events.on_error;
  ModelBackend::Cancel cancel;
  const grpc::Status status = Guarded([&] {
    try {
      cancel = model.backend->Submit(std::move(request), std::move(events));
    } catch (const Error& error) {
      on_error(error);
    }
  });
  if (!status.ok()) caller->End(status);
  if (cancel) caller->SetCancel(std::move(cancel));
}

struct Question {
  Request request;
  // Makes the answer, which it may take apart, the response of the call.
  std::function<void(v1::AskResponse&)> fill;
  // Of what the engine says, about the fields that the client knows.
  std::function<grpc::Status(const Error&)> status_of;
};

// Runs one question to its end.
void AskFor(const grpc::CallbackServerContext& context, const NamedModel& model,
            const std::shared_ptr<UnaryCall>& call, Question question);

}  // namespace binocle
