#include "service/grpc/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "grpc/health/v1/health.pb.h"
#include "service/common/check_range.h"
#include "service/common/text.h"
#include "service/grpc/acceptor.h"
#include "service/grpc/inference_service.h"
#include "service/grpc/model_service.h"
#include "service/grpc/reflection.h"
#include "service/grpc/uri_reader.h"
#include "service/grpc/vision_language_service.h"

namespace binocle {
namespace {

const std::array kServices = {v1::VisionLanguageService::service_full_name(),
                              v1::ModelService::service_full_name(),
                              inference::GRPCInferenceService::service_full_name()};
constexpr int kHandshakeMilliseconds = 10'000;
// Of a connection, beside what the models and workers take: health, questions about the server, uploads, and refusals on their way.
constexpr int64_t kSpareStreams = 64;
constexpr int64_t kLeastReceiving = int64_t{256} << 20;

std::vector<std::string> DescribedServices() {
  std::vector<std::string> names(kServices.begin(), kServices.end());
  names.emplace_back("grpc.health.v1.Health");
  return names;
}

// The libraries keep these for all servers of a process.
void PrepareLibraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    // A line on stderr for every text of a stranger that is no UTF-8; the call gets its status anyway.
    google::protobuf::SetLogHandler(nullptr);
  });
}

GrpcServerOptions Checked(GrpcServerOptions options) {
  CheckRange("max_message_bytes", options.max_message_bytes, 1024, INT32_MAX);
  CheckRange("max_requests", options.max_requests, 1, INT64_MAX / 2);
  CheckRange("workers", options.workers, 1, 256);
  CheckRange("max_queued_messages", static_cast<int64_t>(options.max_queued_messages), 1, 1 << 20);
  CheckRange("stall_limit", options.stall_limit.count(), 1, 3'600'000);
  options.images.max_image_bytes = options.limits.images.max_image_bytes;
  return options;
}

// A call beyond this waits at the client, in HTTP/2, and knows of no queue. One connection may therefore fill the queue and still hear that it
// is full, and whether the server is well.
int StreamsOfAConnection(const GrpcServerOptions& options) {
  const int64_t streams = options.max_requests + options.workers +
                          static_cast<int64_t>(options.max_queued_work) + kSpareStreams;
  return static_cast<int>(std::min<int64_t>(streams, INT32_MAX));
}

int64_t SecondsNow() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void SetKeepalive(const KeepaliveOptions& keepalive, grpc::ServerBuilder& builder) {
  const auto set = [&](const char* argument, std::chrono::milliseconds value) {
    builder.AddChannelArgument(argument, static_cast<int>(value.count()));
  };
  set(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive.interval);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive.timeout);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, keepalive.client_interval);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // the server's own
}

// gRPC unpacks a message before it looks at any limit, and before we see who sends it: 3 MB would take 3 GB. Pictures are compressed already.
void RefuseCompression(grpc::ServerBuilder& builder) {
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP})
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

}  // namespace

struct GrpcServer::Impl {
  Impl(ModelList model_list, GrpcServerOptions server_options)
      : models(std::move(model_list)),
        options(Checked(std::move(server_options))),
        gate(std::make_shared<CallGate>(std::move(options.tokens), options.on_call)),
        images(options.images),
        uris(options.allow_files),
        workers(options.workers, options.max_queued_work),
        replies{.max_message_bytes = options.max_message_bytes,
                .room = std::make_shared<ReplyRoom>(options.waiting)},
        stalls(options.stall_limit),
        context{.models = models,
                .limits = options.limits,
                .replies = replies,
                .max_image_pixels = options.max_image_pixels,
                .max_queued_messages = options.max_queued_messages,
                .start_time = SecondsNow(),
                .gate = *gate,
                .images = images,
                .uris = uris,
                .workers = workers,
                .stalls = stalls} {}

  void Listen() {
    PrepareLibraries();
    grpc::ServerBuilder builder;
    auto connections = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        CredentialsOf(options.tls));
    builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
    builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
    RefuseCompression(builder);
    SetKeepalive(options.keepalive, builder);
    // A connection that says nothing must not be kept for gRPC's two minutes: each has a file descriptor.
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, StreamsOfAConnection(options));
    // What clients may have under way into the server, messages half received included; beyond it gRPC cuts calls off.
    grpc::ResourceQuota quota("binocle");
    quota.Resize(static_cast<size_t>(std::max(kLeastReceiving, 8 * options.max_message_bytes)));
    builder.SetResourceQuota(quota);
    builder.RegisterService(&vision_language);
    builder.RegisterService(&model);
    builder.RegisterService(&inference);
    builder.RegisterCallbackGenericService(&reflection);
    server = builder.BuildAndStart();
    if (server == nullptr) throw Error(Code::kInternal, "gRPC's server does not start");
    acceptor.Start(std::move(connections), options.stall_limit);
    SetServing(true);
  }

  void SetServing(bool serving) { health.SetServing(serving); }

  const ModelList models;
  GrpcServerOptions options;
  const std::shared_ptr<CallGate> gate;  // shared with the calls
  ImageStore images;
  const UriReader uris;
  WorkerPool workers;
  const ReplyLimits replies;
  StallWatch stalls;
  const ServiceContext context;
  VisionLanguageServiceImpl vision_language{context};
  ModelServiceImpl model{context};
  InferenceServiceImpl inference{context};
  HealthService health{{kServices.begin(), kServices.end()}, stalls};
  ReflectionService reflection{DescribedServices(), health, stalls};
  Acceptor acceptor{options.listen};
  std::unique_ptr<grpc::Server> server;  // last: it calls the others
  std::mutex stopping;
};

std::unique_ptr<GrpcServer> GrpcServer::Start(ModelList models, GrpcServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(models), std::move(options));
  impl->Listen();
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcServer::~GrpcServer() { Stop(); }

int GrpcServer::port() const { return impl_->acceptor.port(); }
int64_t GrpcServer::in_flight() const { return impl_->gate->in_flight(); }
int64_t GrpcServer::refused_connections() const { return impl_->acceptor.refused(); }
ImageStoreCounters GrpcServer::images() const { return impl_->images.counters(); }

void GrpcServer::StartDraining() {
  impl_->gate->StartDraining();
  impl_->SetServing(false);
}

bool GrpcServer::Drain(std::chrono::milliseconds patience) {
  StartDraining();
  return impl_->gate->WaitUntilIdle(CallGate::Clock::now() + patience);
}

void GrpcServer::Stop() {
  const std::lock_guard lock(impl_->stopping);
  impl_->gate->StartDraining();
  impl_->gate->StartCutting();
  impl_->acceptor.Stop();
  // Without a deadline this would wait for clients that watch health for ever.
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->server->Wait();
  // gRPC has let go of all calls. Those that were cut are over when engines and workers have, too, within a step: who was told of every
  // call hears of no other afterwards.
  constexpr std::chrono::seconds kStep{5};
  impl_->gate->WaitUntilIdle(CallGate::Clock::now() + kStep);
}

}  // namespace binocle
