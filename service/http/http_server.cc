#include "service/http/http_server.h"

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "service/common/random_id.h"
#include "service/common/token_list.h"
#include "service/http/listener.h"
#include "service/http/openai_response.h"
#include "service/http/page.h"
#include "service/http/request_context.h"

namespace binocle::http {
namespace {

enum class Access { kOpen, kWithKey };

struct Route {
  const char* path;  // one that ends with '/' and is longer stands for all below it
  const char* method;
  Access access;
  void (*handle)(ServerState&, Exchange&, const std::string& request_id);
};

void HandlePage(ServerState&, Exchange& exchange, const std::string&) {
  // Everything that the page needs is in it; nothing else may be loaded, whatever an answer says.
  exchange.SetHeader(
      "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
      "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'");
  exchange.SetHeader("Referrer-Policy", "no-referrer");
  exchange.Reply(200, std::string(PageHtml()), "text/html; charset=utf-8");
}

void HandleHealth(ServerState&, Exchange& exchange, const std::string&) {
  ReplyJson(exchange, 200, {{"status", "ok"}});
}

void HandleReady(ServerState& state, Exchange& exchange, const std::string&) {
  const auto failure = state.callbacks.failure ? state.callbacks.failure() : std::nullopt;
  if (failure) return ReplyJson(exchange, 503, {{"status", "failed"}, {"error", *failure}});
  const bool ready = !state.callbacks.ready || state.callbacks.ready();
  const char* status = state.draining ? "draining" : ready ? "ready" : "starting";
  ReplyJson(exchange, ready && !state.draining ? 200 : 503, {{"status", status}});
}

void HandleMetrics(ServerState& state, Exchange& exchange, const std::string&) {
  exchange.Reply(200, state.callbacks.metrics ? state.callbacks.metrics() : std::string(),
                 "text/plain; version=0.0.4; charset=utf-8");
}

constexpr Route kRoutes[] = {
    {"/", "GET", Access::kOpen, HandlePage},
    {"/healthz", "GET", Access::kOpen, HandleHealth},
    {"/readyz", "GET", Access::kOpen, HandleReady},
    {"/metrics", "GET", Access::kOpen, HandleMetrics},
    {"/v1/chat/completions", "POST", Access::kWithKey, HandleChat},
    {"/v1/embeddings", "POST", Access::kWithKey,
     [](ServerState& s, Exchange& x, const std::string&) { HandleEmbeddings(s, x); }},
    {"/v1/models", "GET", Access::kWithKey,
     [](ServerState& s, Exchange& x, const std::string&) { HandleModels(s, x); }},
    {"/v1/models/", "GET", Access::kWithKey,
     [](ServerState& s, Exchange& x, const std::string&) { HandleModels(s, x); }},
    {"/explain", "POST", Access::kWithKey,
     [](ServerState& s, Exchange& x, const std::string&) { HandleExplain(s, x); }}};

const Route* FindRoute(std::string_view path) {
  const auto matches = [&](const Route& route) {
    const std::string_view own = route.path;
    return path == own || (own.size() > 1 && own.ends_with('/') && path.starts_with(own));
  };
  const auto* it = std::find_if(std::begin(kRoutes), std::end(kRoutes), matches);
  return it == std::end(kRoutes) ? nullptr : it;
}

bool HasMethod(const Route& route, std::string_view method) {
  return method == route.method || (method == "HEAD" && std::string_view(route.method) == "GET");
}

// JSON by its label: browsers send other labels without asking, so any page could make the server work.
void CheckContentType(Exchange& exchange) {
  std::string type = exchange.Header("Content-Type");
  type = type.substr(0, type.find(';'));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  type.erase(type.find_last_not_of(" \t") + 1);
  if (type != kJsonType) throw NotJson(type);
}

std::string NewRequestId() { return "req_" + RandomId(); }

// The client's id where it is a word, or a new one.
std::string RequestId(const Exchange& exchange) {
  constexpr size_t kMaxBytes = 128;
  const std::string given = exchange.Header("X-Request-Id");
  const bool word = !given.empty() && given.size() <= kMaxBytes &&
                    std::all_of(given.begin(), given.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                    });
  return word ? given : NewRequestId();
}

HttpError OfStatus(int status, const std::string& why) {
  const char* message = status == 413   ? "the body is too large"
                        : status == 414 ? "the path is too long"
                        : status == 503 ? "the server has as many connections as it takes"
                                        : "this is no HTTP request that is understood here";
  const char* type = status >= 500 ? "server_error" : "invalid_request_error";
  return {.status = status,
          .message = why.empty() ? message : message + (": " + why),
          .type = type,
          .param = {},
          .code = "refused"};
}

}  // namespace

std::string EndpointOf(std::string_view path) {
  const Route* route = FindRoute(path);
  return route == nullptr ? "other" : route->path;
}

struct HttpServer::Impl {
  Impl(ModelList models, const HttpOptions& options, HttpCallbacks callbacks)
      : state{.models = std::move(models), .options = options, .callbacks = std::move(callbacks)} {
    const ListenerOptions listening{.host = options.host,
                                    .port = options.port,
                                    .max_connections = options.max_connections,
                                    .max_body_bytes = options.max_body_bytes,
                                    .max_read_bytes = options.max_bodies_bytes / 2,
                                    .limits = {.idle = options.idle_timeout,
                                               .head = options.head_timeout,
                                               .body = options.body_timeout,
                                               .write = options.write_timeout}};
    listener = std::make_unique<Listener>(
        listening,
        Listener::Handlers{
            .handle = [this](Exchange& exchange) { Handle(exchange); },
            .refuse = [](int status,
                         const std::string& why) { return Line(ErrorJson(OfStatus(status, why))); },
            .new_request_id = [] { return NewRequestId(); },
            .finished = [this](const FinishedExchange& finished) { Finished(finished); }});
  }

  void Handle(Exchange& exchange);
  void Route(Exchange& exchange, const std::string& request_id);
  void Finished(const FinishedExchange& finished);

  ServerState state;
  std::mutex mutex;
  std::condition_variable idle;
  std::unique_ptr<Listener> listener;  // last: its threads use the rest
};

void HttpServer::Impl::Handle(Exchange& exchange) {
  ++state.requests;
  ++state.active;
  const std::string request_id = RequestId(exchange);
  exchange.SetHeader("X-Request-Id", request_id);
  exchange.SetHeader("X-Content-Type-Options", "nosniff");
  try {
    Route(exchange, request_id);
  } catch (const ClientIsGone&) {
    exchange.Reply(499, {}, kJsonType);
  } catch (const BodyIsTooLarge& large) {
    ReplyError(exchange, BodyTooLarge(large.limit));
  } catch (const BodyIsCut&) {
    if (state.draining) return ReplyError(exchange, Draining());
    ReplyError(exchange, ToHttpError(Error(Code::kInvalidArgument, "the body ends too early")));
  } catch (const BodyIsSlow&) {
    ReplyError(exchange, state.draining ? Draining() : BodyTooSlow());
  } catch (const UnknownEncoding& unknown) {
    // RFC 9110, 15.5.16.
    exchange.SetHeader("Accept-Encoding", "gzip");
    ReplyError(exchange, EncodingUnknown(unknown.encoding));
  } catch (const BodyIsMalformed& body) {
    ReplyError(exchange, ToHttpError(Error(Code::kInvalidArgument, "the body: " + body.why)));
  } catch (const HttpError& error) {
    ReplyError(exchange, error);
  } catch (const Error& error) {
    ReplyError(exchange, ToHttpError(error));
  } catch (const std::bad_alloc&) {
    ReplyError(exchange, ToHttpError(Error(Code::kUnavailable, "not enough memory")));
  } catch (const std::exception& error) {
    ReplyError(exchange, ToHttpError(Error(Code::kInternal, error.what())));
  }
}

void HttpServer::Impl::Route(Exchange& exchange, const std::string& request_id) {
  const std::string& cors = state.options.cors_origin;
  if (!cors.empty()) {
    exchange.SetHeader("Access-Control-Allow-Origin", cors);
    exchange.SetHeader("Vary", "Origin");
  }
  const auto* route = FindRoute(exchange.path());
  if (route == nullptr) throw NotFound(exchange.method(), exchange.path());
  if (!cors.empty() && exchange.method() == "OPTIONS") {
    exchange.SetHeader("Access-Control-Allow-Methods", route->method);
    exchange.SetHeader("Access-Control-Allow-Headers",
                       exchange.Header("Access-Control-Request-Headers"));
    return exchange.Reply(204, {}, "text/plain");
  }
  if (!HasMethod(*route, exchange.method())) {
    exchange.SetHeader("Allow", route->method);
    throw MethodNotAllowed(exchange.method(), exchange.path(), route->method);
  }
  if (route->access == Access::kWithKey) {
    if (state.callbacks.authorize) {
      const std::string header = exchange.Header("Authorization");
      Admission admission = state.callbacks.authorize(BearerOf(header).value_or(""));
      exchange.SetCaller(std::move(admission.name), std::move(admission.lease));
      if (admission.refusal) throw *std::move(admission.refusal);
    }
    if (state.draining) {
      exchange.SetHeader("Connection", "close");
      throw Draining();
    }
    if (exchange.method() == "POST") CheckContentType(exchange);
  }
  route->handle(state, exchange, request_id);
}

void HttpServer::Impl::Finished(const FinishedExchange& finished) {
  if (state.callbacks.log) {
    state.callbacks.log(
        {.request_id = finished.request_id,
         .traceparent = finished.traceparent,
         .caller = finished.caller,
         .method = finished.method,
         .path = finished.path,
         .remote = finished.remote,
         .status = finished.status,
         .cut = finished.cut,
         .bytes = finished.bytes,
         .milliseconds = std::chrono::duration<double, std::milli>(finished.time).count()});
  }
  if (!finished.handled) return;
  const std::lock_guard lock(mutex);
  if (--state.active == 0) idle.notify_all();
}

HttpServer::HttpServer(ModelList models, const HttpOptions& options, HttpCallbacks callbacks)
    : impl_(std::make_unique<Impl>(std::move(models), options, std::move(callbacks))) {}

HttpServer::~HttpServer() {
  Drain(std::chrono::milliseconds(0));
  Stop();
}

int HttpServer::port() const { return impl_->listener->port(); }

HttpStats HttpServer::stats() const {
  const ServerState& state = impl_->state;
  return {.connections = impl_->listener->connections(),
          .refused = impl_->listener->refused(),
          .requests = state.requests,
          .active = state.active,
          .cancelled = state.cancelled,
          .slow = state.slow};
}

bool HttpServer::Drain(std::chrono::milliseconds patience) {
  // How long a handler may take to say that it was cancelled.
  constexpr std::chrono::milliseconds kGoodbye{2'000};
  impl_->state.draining = true;
  impl_->listener->Hurry();
  const auto none = [&] { return impl_->state.active == 0; };
  bool whole = false;
  {
    std::unique_lock lock(impl_->mutex);
    whole = impl_->idle.wait_for(lock, patience, none);
    if (!whole) {
      impl_->state.aborting = true;
      if (!impl_->idle.wait_for(lock, kGoodbye, none)) impl_->listener->Break();
    }
  }
  return whole;
}

void HttpServer::Stop() { impl_->listener->Stop(); }

}  // namespace binocle::http
