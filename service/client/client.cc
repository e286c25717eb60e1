#include "binocle/client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/async_stream.h>

#include <cstdint>
#include <utility>

#include "binocle/v1/model_service.grpc.pb.h"
#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "service/client/client_call.h"
#include "service/client/connection.h"
#include "service/client/from_proto.h"
#include "service/client/to_proto.h"
#include "service/common/sha256.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr size_t kChunkBytes = size_t{256} << 10;

// What comes of a server that is none of ours.
void Need(bool holds, const char* what) {
  if (!holds) throw Error(Code::kDataLoss, std::string("the server's answer has ") + what);
}

// Reads the stream and tells the observer. What the observer stops ends the call and is no error.
grpc::Status ReadStream(Attempt& attempt, v1::VisionLanguageService::Stub& stub,
                        const v1::GenerateRequest& request, const Observer& observer,
                        StreamedResponse& response, bool& touched) {
  const auto reader =
      stub.AsyncGenerate(attempt.context(), request, attempt.queue(), /*tag=*/nullptr);
  bool open = attempt.Wait();
  v1::GenerateResponse message;
  while (open) {
    reader->Read(&message, nullptr);
    if (!attempt.Wait()) break;
    touched = true;
    if (message.has_started()) response.Add(message.started());
    if (message.has_finished()) response.Add(message.finished());
    if (!message.has_delta()) continue;
    const Delta delta = response.Add(message.delta());
    if (observer.on_delta) attempt.Guard([&] { observer.on_delta(delta); });
  }
  grpc::Status status;
  reader->Finish(&status, nullptr);
  attempt.Wait();
  return status;
}

grpc::Status Send(Attempt& attempt, v1::VisionLanguageService::Stub& stub, const std::string& bytes,
                  v1::UploadImageResponse& response) {
  response.Clear();
  const auto writer = stub.AsyncUploadImage(attempt.context(), &response, attempt.queue(), nullptr);
  bool open = attempt.Wait();
  v1::UploadImageRequest piece;
  piece.mutable_metadata()->set_bytes(static_cast<int64_t>(bytes.size()));
  piece.mutable_metadata()->set_id(Sha256Hex(bytes));
  for (size_t at = 0; open; at += kChunkBytes) {
    writer->Write(piece, nullptr);
    open = attempt.Wait();
    if (!open || at >= bytes.size()) break;
    piece.set_chunk(bytes.substr(at, kChunkBytes));
  }
  if (open) {
    writer->WritesDone(nullptr);
    attempt.Wait();
  }
  grpc::Status status;
  writer->Finish(&status, nullptr);
  attempt.Wait();
  return status;
}

}  // namespace

struct Client::Impl {
  explicit Impl(const ClientOptions& client_options)
      : connection(client_options),
        vision(v1::VisionLanguageService::NewStub(connection.channel())),
        models(v1::ModelService::NewStub(connection.channel())) {}

  ClientCall Call(const CallOptions& options,
                  std::optional<std::chrono::steady_clock::time_point> deadline = {}) const {
    return {connection, options, deadline};
  }
  const std::string& ModelOf(const CallOptions& options) const {
    return options.model.empty() ? connection.options().model : options.model;
  }
  ImageReader images() const { return {.max_bytes = connection.options().max_message_bytes}; }

  v1::EmbedResponse Embed(v1::EmbedRequest request, const EmbeddingOptions& embedding,
                          const CallOptions& options, ClientCall& call) const {
    request.set_model(ModelOf(options));
    request.set_pooling(PoolingToProto(embedding.pooling));
    request.set_normalize(embedding.normalize);
    auto response = Unary<v1::EmbedResponse>(call, [&](auto* context, auto* queue) {
      return vision->AsyncEmbed(context, request, queue);
    });
    for (const auto* vectors : {&response.images(), &response.texts()}) {
      for (const v1::Embedding& e : *vectors)
        Need(int64_t{e.rows()} * e.width() == e.values_size(), "vectors of another size");
    }
    return response;
  }

  const Connection connection;
  const std::unique_ptr<v1::VisionLanguageService::Stub> vision;
  const std::unique_ptr<v1::ModelService::Stub> models;
};

Client::Client(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Client Client::Connect(const ClientOptions& options) {
  return Client(std::make_shared<const Impl>(options));
}

Response Client::Ask(const Request& request, const CallOptions& options) {
  ClientCall call = impl_->Call(options, request.deadline);
  v1::AskRequest proto = AskRequestOf(request, impl_->images(), call.pictures());
  proto.set_model(impl_->ModelOf(options));
  const auto response = Unary<v1::AskResponse>(call, [&](auto* context, auto* queue) {
    return impl_->vision->AsyncAsk(context, proto, queue);
  });
  Need(response.answers_size() > 0, "no answers");
  return ResponseFrom(response);
}

Response Client::Generate(const Request& request, const Observer& observer,
                          const CallOptions& options) {
  bool stopped = false;
  CallOptions watched = options;
  if (observer.keep_going) {
    watched.keep_going = [&] {
      stopped = stopped || !observer.keep_going();
      return !stopped && (!options.keep_going || options.keep_going());
    };
  }
  ClientCall call = impl_->Call(watched, request.deadline);
  v1::GenerateRequest proto = GenerateRequestOf(request, impl_->images(), call.pictures());
  proto.set_model(impl_->ModelOf(options));
  StreamedResponse response;
  bool touched = false;
  try {
    call.Run(
        [&](Attempt& attempt) {
          return ReadStream(attempt, *impl_->vision, proto, observer, response, touched);
        },
        [&] { return !touched; });
  } catch (const CallError& error) {
    if (!stopped || error.code() != Code::kCancelled) throw;
    return response.Take();
  }
  Need(response.finished(), "no end");
  return response.Take();
}

Embedding Client::EmbedImage(const ImageInput& image, const EmbeddingOptions& embedding,
                             const CallOptions& options) {
  ClientCall call = impl_->Call(options);
  v1::EmbedRequest request;
  call.pictures().emplace_back("images[0]", image.path);
  *request.add_images() = impl_->images().Read(image);
  const auto response = impl_->Embed(std::move(request), embedding, options, call);
  Need(response.images_size() == 1, "no vector of the picture");
  return EmbeddingFrom(response.images(0), embedding.pooling);
}

Embedding Client::EmbedText(const std::string& text, const EmbeddingOptions& embedding,
                            const CallOptions& options) {
  ClientCall call = impl_->Call(options);
  v1::EmbedRequest request;
  request.add_texts(ValidUtf8(text));
  const auto response = impl_->Embed(std::move(request), embedding, options, call);
  Need(response.texts_size() == 1, "no vector of the text");
  return EmbeddingFrom(response.texts(0), embedding.pooling);
}

Explanation Client::Explain(const Request& request, const ExplainOptions& explain,
                            const CallOptions& options) {
  ClientCall call = impl_->Call(options, request.deadline);
  v1::ExplainRequest proto = ExplainRequestOf(request, explain, impl_->images(), call.pictures());
  proto.set_model(impl_->ModelOf(options));
  const auto response = Unary<v1::ExplainResponse>(call, [&](auto* context, auto* queue) {
    return impl_->vision->AsyncExplain(context, proto, queue);
  });
  Need(IsWhole(response), "maps, pictures or heads of another size");
  return ExplanationFrom(response);
}

UploadedPicture Client::Upload(const ImageInput& image, const CallOptions& options) {
  ClientCall call = impl_->Call(options);
  // Only its bytes count: no message has all of them.
  const v1::Image picture = ImageReader{.max_bytes = INT32_MAX}.Read(image);
  if (!picture.has_data())
    throw Error(Code::kInvalidArgument, image.path + ": is no file here, expected one to send");
  v1::UploadImageResponse response;
  call.Run(
      [&](Attempt& attempt) { return Send(attempt, *impl_->vision, picture.data(), response); });
  return {.id = response.id(), .bytes = response.bytes()};
}

std::vector<ModelSummary> Client::Models(const CallOptions& options) {
  ClientCall call = impl_->Call(options);
  const auto response = Unary<v1::ListModelsResponse>(call, [&](auto* context, auto* queue) {
    return impl_->models->AsyncListModels(context, {}, queue);
  });
  std::vector<ModelSummary> models;
  for (const v1::ModelSummary& model : response.models()) models.push_back(ModelSummaryFrom(model));
  return models;
}

ModelInfo Client::Model(const CallOptions& options, Tensors tensors) {
  ClientCall call = impl_->Call(options);
  v1::GetModelRequest request;
  request.set_model(impl_->ModelOf(options));
  request.set_tensors(tensors == Tensors::kYes);
  const auto response = Unary<v1::GetModelResponse>(call, [&](auto* context, auto* queue) {
    return impl_->models->AsyncGetModel(context, request, queue);
  });
  return ModelInfoFrom(response.model());
}

ServerStatus Client::ServerInfo(const CallOptions& options) {
  ClientCall call = impl_->Call(options);
  const auto response = Unary<v1::GetServerInfoResponse>(call, [&](auto* context, auto* queue) {
    return impl_->models->AsyncGetServerInfo(context, {}, queue);
  });
  return ServerStatusFrom(response);
}

HealthStatus Client::Health(const std::string& service, const CallOptions& options) {
  namespace health = grpc::health::v1;
  ClientCall call = impl_->Call(options);
  health::HealthCheckRequest request;
  request.set_service(service);
  grpc::TemplatedGenericStub<health::HealthCheckRequest, health::HealthCheckResponse> stub(
      impl_->connection.channel());
  const auto response = Unary<health::HealthCheckResponse>(call, [&](auto* context, auto* queue) {
    auto reader = stub.PrepareUnaryCall(context, "/grpc.health.v1.Health/Check", request, queue);
    reader->StartCall();
    return reader;
  });
  switch (response.status()) {
    case health::HealthCheckResponse::SERVING: return HealthStatus::kServing;
    case health::HealthCheckResponse::NOT_SERVING: return HealthStatus::kNotServing;
    default: return HealthStatus::kUnknown;
  }
}

}  // namespace binocle
