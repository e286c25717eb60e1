#include "binocle/server.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "binocle/version.h"
#include "service/common/address.h"
#include "service/common/check_range.h"
#include "service/common/descriptors.h"
#include "service/common/engine_backend.h"
#include "service/common/sha256.h"
#include "service/common/text.h"
#include "service/common/token_list.h"
#include "service/grpc/server.h"
#include "service/grpc/uri_reader.h"
#include "service/http/http_error.h"
#include "service/http/http_server.h"
#include "service/server/call_log.h"
#include "service/server/fingerprint.h"
#include "service/server/metered_backend.h"
#include "service/server/metrics.h"

namespace binocle {
namespace {

using std::chrono::milliseconds;

// At engines, whether they have failed.
constexpr milliseconds kBetweenLooks{300};

// A small file of the operator's.
std::string ReadFile(const char* option, const std::string& path) {
  constexpr std::streamsize kMostBytes = 16 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes + 1, '\0');
  if (!file || !file.read(text.data(), kMostBytes + 1).eof()) {
    throw Error(file.gcount() > kMostBytes ? Code::kInvalidArgument : Code::kNotFound,
                Text(option, " is ", path, ", expected a readable file of at most 16 MiB"), option);
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::optional<TlsOptions> TlsOf(const ServerOptions& options) {
  if (options.tls_certificate.empty() && options.tls_key.empty() && options.tls_client_ca.empty())
    return std::nullopt;
  for (const auto& [option, value] : {std::pair("tls_certificate", &options.tls_certificate),
                                      std::pair("tls_key", &options.tls_key)}) {
    if (value->empty())
      throw Error(Code::kInvalidArgument, Text(option, " is missing, expected one for TLS"),
                  option);
  }
  TlsOptions tls{.certificate = ReadFile("tls_certificate", options.tls_certificate),
                 .key = ReadFile("tls_key", options.tls_key),
                 .client_ca = {}};
  if (!options.tls_client_ca.empty())
    tls.client_ca = ReadFile("tls_client_ca", options.tls_client_ca);
  CredentialsOf(tls);
  return tls;
}

std::optional<TokenList> TokensOf(const ServerOptions& options) {
  if (options.tokens.empty()) return std::nullopt;
  return TokenList::Parse(ReadFile("tokens", options.tokens), options.tokens);
}

std::vector<std::shared_ptr<Engine>> EnginesOf(const std::vector<ServedModel>& models) {
  std::vector<std::shared_ptr<Engine>> engines;
  for (const ServedModel& model : models) engines.push_back(model.engine);
  return engines;
}

// "127.0.0.1:0" with the port that it became.
std::string Bound(const std::string& address, int port) {
  if (address.empty()) return "off";
  return port == 0 ? address : address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// The limits of the most generous model; each engine enforces its own.
int64_t Most(const std::vector<ServedModel>& models, int64_t EngineOptions::*limit) {
  int64_t most = 0;
  for (const ServedModel& model : models) most = std::max(most, model.engine->options().*limit);
  return most;
}

// What wait and what run, in all models.
int64_t MostRequests(const std::vector<ServedModel>& models) {
  int64_t most = 0;
  for (const ServedModel& model : models) {
    const EngineOptions& options = model.engine->options();
    most += options.max_queued_requests + options.max_sequences;
  }
  return most;
}

std::string FingerprintOf(const Engine& engine) {
  const ModelInfo& info = engine.info();
  const EngineOptions& options = engine.options();
  const std::string all =
      Text(Version(), '\n', info.name, '\n', WeightsFingerprint(info.path), '\n', info.parameters,
           '\n', info.attention, '\n', info.aligner, '\n', info.fusion, '\n', info.conversation,
           '\n', info.device, '\n', info.compute, '\n', options.compute_parts);
  return "fp_" + Sha256Hex(all).substr(0, 12);
}

int64_t SecondsSince1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

ModelList ListOf(const std::vector<ServedModel>& models, const ServerOptions& options,
                 const std::shared_ptr<Metrics>& metrics) {
  std::vector<NamedModel> named;
  for (const ServedModel& model : models) {
    if (model.engine == nullptr)
      throw Error(Code::kInvalidArgument, Text("models: ", model.name, " has no engine"));
    named.push_back({.name = model.name,
                     .backend = Metered(MakeEngineBackend(model.engine), model.name, metrics,
                                        options.request_timeout),
                     .created = SecondsSince1970(),
                     .fingerprint = FingerprintOf(*model.engine)});
    AddEngine(*metrics, model.name, model.engine);
  }
  return ModelList(std::move(named));
}

http::Admission Admit(const TokenList& tokens, std::string_view key) {
  if (key.empty())
    throw Error(Code::kUnauthenticated, "expected a header Authorization: Bearer TOKEN");
  TokenList::Decision decision = tokens.Admit(key, TokenList::Clock::now());
  if (decision.verdict == TokenList::Verdict::kUnknown) throw TokenIsUnknown();
  http::Admission admission{
      .name = std::move(decision.name), .lease = std::move(decision.lease), .refusal = {}};
  if (decision.verdict == TokenList::Verdict::kAdmitted) return admission;
  http::HttpError& refusal =
      admission.refusal.emplace(http::ToHttpError(TokenIsOverLimit(decision.verdict)));
  if (decision.retry) {
    refusal.retry_after_seconds =
        static_cast<int>(std::chrono::ceil<std::chrono::seconds>(*decision.retry).count());
  }
  return admission;
}

void CheckFolder(const std::string& socket_path) {
  const std::filesystem::path folder = std::filesystem::path(socket_path).parent_path();
  std::error_code ignored;
  if (folder.empty() || std::filesystem::is_directory(folder, ignored)) return;
  throw Error(Code::kInvalidArgument,
              Text("listen is unix:", socket_path, ", expected a path in a folder that there is"),
              "listen");
}

// It becomes part of a header, and browsers compare it byte by byte with SCHEME://HOST[:PORT] (RFC 6454, 6.2).
void CheckOrigin(const std::string& origin) {
  if (origin.empty() || origin == "*") return;
  const auto fail = [](const std::string& what) {
    throw Error(Code::kInvalidArgument, "cors_origin " + what + ", expected https://HOST or *",
                "cors_origin");
  };
  const bool plain = std::all_of(origin.begin(), origin.end(),
                                 [](unsigned char c) { return c > ' ' && c < 0x7F; });
  if (!plain) fail("has a blank, a control character or one beyond ASCII");
  const size_t mark = origin.find("://");
  const size_t host = mark + 3;
  if (mark == std::string::npos || mark == 0 || host >= origin.size() ||
      origin.find_first_of("/?#@,*", host) != std::string::npos)
    fail("is " + ValidUtf8(origin, 200));
}

// What would fail when the port is opened, told before models are loaded.
void CheckHost(const char* option, const std::string& value, const Address& address) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &found))
    throw Error(
        Code::kUnavailable,
        Text(option, " is ", ValidUtf8(value, 200), ", which cannot be had: ", gai_strerror(error)),
        option);
  freeaddrinfo(found);
}

void CheckAddresses(const ServerOptions& options) {
  const bool file = IsUnixSocket(options.listen);
  if (file) CheckFolder(UnixSocketPath(options.listen));
  const Address grpc =
      options.listen.empty() || file ? Address() : ParseAddress("listen", options.listen);
  const Address http = options.http.empty() ? Address() : ParseAddress("http", options.http);
  if (grpc.port != 0 && grpc.port == http.port && grpc.host == http.host)
    throw Error(Code::kInvalidArgument, Text("http is ", options.http, ", which is listen too"),
                "http");
  if (!options.listen.empty() && !file) CheckHost("listen", options.listen, grpc);
  if (!options.http.empty()) CheckHost("http", options.http, http);
}

}  // namespace

void CheckOptions(const ServerOptions& options) {
  if (options.listen.empty() && options.http.empty())
    throw Error(Code::kInvalidArgument, "listen is empty and so is http, expected an address",
                "listen");
  CheckAddresses(options);
  CheckOrigin(options.cors_origin);
  CheckRange("max_message_bytes", options.max_message_bytes, 1024, INT32_MAX);
  CheckRange("max_request_image_bytes", options.max_request_image_bytes, 1, INT64_MAX);
  CheckRange("max_prompt_bytes", options.max_prompt_bytes, 1, INT64_MAX);
  CheckRange("max_connections", options.max_connections, 1, 65536);
  CheckRange("image_store_bytes", options.image_store_bytes, 0, INT64_MAX);
  CheckRange("workers", options.workers, 1, 256);
  constexpr int64_t kHour = 3'600'000;
  CheckRange("request_timeout", options.request_timeout.count(), 0, 24 * kHour);
  CheckRange("stall_limit", options.stall_limit.count(), 1000, kHour);
  CheckRange("keepalive_interval", options.keepalive_interval.count(), 1000, kHour);
  CheckRange("keepalive_timeout", options.keepalive_timeout.count(), 1000, kHour);
  CheckRange("keepalive_client_interval", options.keepalive_client_interval.count(), 0, kHour);
  TlsOf(options);
  TokensOf(options);
  const UriReader directories(options.allow_files);
}

struct Server::Impl {
  Impl(const std::vector<ServedModel>& served, const ServerOptions& server_options)
      : options(server_options),
        log(std::make_shared<CallLog>(options.log)),
        models(ListOf(served, options, metrics)),
        engines(EnginesOf(served)),
        tokens(TokensOf(options)) {
    if (!options.listen.empty()) StartGrpc(served);
    if (!options.http.empty()) StartHttp(served);
    watcher = std::jthread([this](const std::stop_token& stop) { Watch(stop); });
    Warn();
    log->Event("started", Text("grpc ", Bound(options.listen, grpc ? grpc->port() : 0), ", http ",
                               Bound(options.http, http ? http->port() : 0)));
  }

  void StartGrpc(const std::vector<ServedModel>& served) {
    GrpcServerOptions to{.listen = options.listen, .tls = TlsOf(options), .tokens = tokens};
    to.keepalive = {.interval = options.keepalive_interval,
                    .timeout = options.keepalive_timeout,
                    .client_interval = options.keepalive_client_interval};
    to.limits.images = {.max_images = Most(served, &EngineOptions::max_images),
                        .max_image_bytes = Most(served, &EngineOptions::max_image_bytes),
                        .max_request_image_bytes = options.max_request_image_bytes};
    to.limits.max_prompt_bytes = options.max_prompt_bytes;
    to.images.budget_bytes = options.image_store_bytes;
    to.allow_files = options.allow_files;
    to.max_message_bytes = options.max_message_bytes;
    to.waiting.together = std::max(to.waiting.together, 4 * options.max_message_bytes);
    to.max_image_pixels = Most(served, &EngineOptions::max_image_pixels);
    to.stall_limit = options.stall_limit;
    to.max_requests = MostRequests(served);
    to.workers = static_cast<int>(options.workers);
    to.on_call = [log = log, metrics = metrics](const CallRecord& call) {
      const bool ok = call.code == grpc::StatusCode::OK;
      metrics->Call("grpc", call.method,
                    ok ? "OK" : std::string(CodeName(static_cast<Code>(call.code))), call.duration);
      log->Call(call);
    };
    grpc = GrpcServer::Start(models, std::move(to));
    const auto stored = [this](int64_t ImageStoreCounters::*field) -> Metrics::Read {
      return [this, field] { return static_cast<double>(grpc->images().*field); };
    };
    metrics->AddGauge("binocle_grpc_calls", "Calls under way.", {},
                      [this] { return static_cast<double>(grpc->in_flight()); });
    metrics->AddCounter("binocle_grpc_refused_total",
                        "Connections for which there was no file descriptor.", {},
                        [this] { return static_cast<double>(grpc->refused_connections()); });
    metrics->AddGauge("binocle_uploads", "Uploaded pictures kept.", {},
                      stored(&ImageStoreCounters::entries));
    metrics->AddGauge("binocle_upload_bytes", "What they take.", {},
                      stored(&ImageStoreCounters::bytes));
    metrics->AddGauge("binocle_upload_pending_bytes", "Uploads under way.", {},
                      stored(&ImageStoreCounters::pending_bytes));
    metrics->AddCounter("binocle_upload_evictions_total", "Uploaded pictures that had to go.", {},
                        stored(&ImageStoreCounters::evictions));
  }

  void StartHttp(const std::vector<ServedModel>& served) {
    const Address address = ParseAddress("http", options.http);
    http::HttpOptions to{.host = address.host, .port = address.port};
    // The other half is for gRPC, models and pictures.
    to.max_connections = std::min<int64_t>(options.max_connections, MostDescriptors() / 2);
    to.max_body_bytes = options.max_message_bytes;
    to.waiting.together = std::max(to.waiting.together, 4 * options.max_message_bytes);
    to.max_bodies_bytes = 8 * options.max_message_bytes;  // as gRPC's quota
    to.workers = options.workers;
    to.write_timeout = options.stall_limit;
    to.cors_origin = options.cors_origin;
    to.limits.max_images = Most(served, &EngineOptions::max_images);
    to.limits.max_image_bytes = Most(served, &EngineOptions::max_image_bytes);
    http::HttpCallbacks callbacks;
    if (tokens)
      callbacks.authorize = [list = *tokens](std::string_view key) { return Admit(list, key); };
    callbacks.metrics = [metrics = metrics] { return metrics->Text(); };
    callbacks.failure = [this] { return Failure(); };
    callbacks.log = [log = log, metrics = metrics](const http::HttpLogEntry& entry) {
      metrics->Call("http", http::EndpointOf(entry.path),
                    entry.cut ? "499" : std::to_string(entry.status),
                    std::chrono::duration<double, std::milli>(entry.milliseconds));
      log->Call(entry);
    };
    http = std::make_unique<http::HttpServer>(models, to, std::move(callbacks));
    const auto stat = [this](int64_t http::HttpStats::*field) -> Metrics::Read {
      return [this, field] { return static_cast<double>(http->stats().*field); };
    };
    metrics->AddGauge("binocle_http_connections", "Open connections.", {},
                      stat(&http::HttpStats::connections));
    metrics->AddGauge("binocle_http_calls", "Calls under way.", {}, stat(&http::HttpStats::active));
    metrics->AddCounter("binocle_http_refused_total", "Connections for which there was no room.",
                        {}, stat(&http::HttpStats::refused));
  }

  void Warn() const {
    const bool open = !options.http.empty() && !IsLoopback(ParseAddress("http", options.http).host);
    if (open)
      log->Event("warning", Text("http ", options.http, " is plain HTTP that others can reach"));
    const bool grpc_open = !options.listen.empty() && !IsUnixSocket(options.listen) &&
                           !IsLoopback(ParseAddress("listen", options.listen).host);
    if (grpc_open && options.tls_certificate.empty())
      log->Event("warning",
                 Text("listen ", options.listen, " is without TLS, and others can reach it"));
    const bool grpc_anonymous = grpc_open && options.tls_client_ca.empty();
    if ((open || grpc_anonymous) && !tokens)
      log->Event("warning", "everybody who can reach this server may use it: there are no tokens");
  }

  std::optional<std::string> Failure() const {
    for (const auto& engine : engines)
      if (auto failure = engine->Failure()) return failure;
    return std::nullopt;
  }

  // Until an engine has failed.
  void Watch(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      if (const auto failure = Failure()) {
        log->Event("failed", *failure);
        if (grpc) grpc->StartDraining();
        return;
      }
      wake.wait_for(lock, stop, kBetweenLooks, [] { return false; });
    }
  }

  bool Drain(milliseconds patience) {
    log->Event("draining", Text("waiting for at most ", patience.count(), " ms"));
    bool http_whole = true;
    std::thread other([&] { http_whole = !http || http->Drain(patience); });
    const bool grpc_whole = !grpc || grpc->Drain(patience);
    other.join();
    // Health, readiness and metrics are told until both have nothing left to do.
    if (grpc) grpc->Stop();
    if (http) http->Stop();
    const bool whole = grpc_whole && http_whole;
    log->Event("stopped", whole ? "every request has ended" : "some requests were cancelled");
    return whole;
  }

  const ServerOptions options;
  const std::shared_ptr<CallLog> log;  // shared with calls, which may outlive the server
  const std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();  // likewise
  const ModelList models;
  const std::vector<std::shared_ptr<Engine>> engines;  // shared with the models
  const std::optional<TokenList> tokens;
  std::unique_ptr<GrpcServer> grpc;
  std::unique_ptr<http::HttpServer> http;
  std::jthread watcher;  // last: it uses the others
};

std::unique_ptr<Server> Server::Start(std::vector<ServedModel> models,
                                      const ServerOptions& options) {
  CheckOptions(options);
  return std::unique_ptr<Server>(new Server(std::make_unique<Impl>(models, options)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

int Server::grpc_port() const { return impl_->grpc ? impl_->grpc->port() : 0; }
int Server::http_port() const { return impl_->http ? impl_->http->port() : 0; }
bool Server::Drain(milliseconds patience) { return impl_->Drain(patience); }
std::optional<std::string> Server::Failure() const { return impl_->Failure(); }
std::string Server::MetricsText() const { return impl_->metrics->Text(); }

}  // namespace binocle
