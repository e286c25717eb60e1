#include "service/grpc/health.h"

#include <grpcpp/support/status.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "grpc/health/v1/health.pb.h"
#include "service/grpc/bytes_call.h"

namespace binocle {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

constexpr const char* kCheck = "/grpc.health.v1.Health/Check";
constexpr const char* kWatch = "/grpc.health.v1.Health/Watch";

const grpc::Status& NoRequest() {
  static const grpc::Status status(grpc::StatusCode::INVALID_ARGUMENT,
                                   "the request is no HealthCheckRequest");
  return status;
}

std::optional<std::string> ServiceIn(std::string_view bytes) {
  HealthCheckRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return request.service();
}

ServingStatus StatusOf(bool serving) {
  return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

std::string StatusBytes(ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return response.SerializeAsString();
}

}  // namespace

class HealthService::Check final : public BytesCall {
 public:
  Check(const HealthService& health, grpc::GenericCallbackServerContext& context)
      : BytesCall(context, Requests::kOne), health_(health) {}

 protected:
  void OnRequest(std::string_view bytes) override {
    const std::optional<std::string> service = ServiceIn(bytes);
    if (!service) return End(NoRequest());
    if (!health_.Knows(*service))
      return End({grpc::StatusCode::NOT_FOUND, "there is no service of that name"});
    WriteLast(StatusBytes(StatusOf(health_.serving())));
  }
  void OnNoRequest() override { End(NoRequest()); }
  void OnSent() override {}

 private:
  const HealthService& health_;
};

class HealthService::Watch final : public BytesCall {
 public:
  Watch(const HealthService& health, grpc::GenericCallbackServerContext& context)
      : BytesCall(context, Requests::kOne), health_(health) {}

  void Changed() {
    const std::lock_guard lock(mutex());
    if (waits() && asked_) Tell();
  }

 protected:
  void OnRequest(std::string_view bytes) override {
    const std::optional<std::string> service = ServiceIn(bytes);
    if (!service) return End(NoRequest());
    asked_ = true;
    known_ = health_.Knows(*service);
    Tell();
  }
  void OnNoRequest() override { End(NoRequest()); }
  void OnSent() override { Tell(); }

 private:
  void Tell() {
    const ServingStatus now =
        known_ ? StatusOf(health_.serving()) : HealthCheckResponse::SERVICE_UNKNOWN;
    if (told_ == now) return Wait();
    told_ = now;
    Write(StatusBytes(now));
  }

  const HealthService& health_;
  bool asked_ = false, known_ = false;
  std::optional<ServingStatus> told_;
};

HealthService::HealthService(std::vector<std::string> names, StallWatch& stalls)
    : names_(std::move(names)), stalls_(stalls) {
  names_.emplace_back();
  std::sort(names_.begin(), names_.end());
}

bool HealthService::Has(std::string_view method) { return method == kCheck || method == kWatch; }

grpc::ServerGenericBidiReactor* HealthService::CreateReactor(
    grpc::GenericCallbackServerContext& context) {
  if (context.method() == kCheck)
    return BytesCall::Begin(std::make_shared<Check>(*this, context), stalls_);
  const auto watch = std::make_shared<Watch>(*this, context);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(watching_, [](const auto& call) { return call.expired(); });
    watching_.push_back(watch);
  }
  return BytesCall::Begin(watch, stalls_);
}

bool HealthService::Knows(const std::string& name) const {
  return std::binary_search(names_.begin(), names_.end(), name);
}

bool HealthService::serving() const {
  const std::lock_guard lock(mutex_);
  return serving_;
}

void HealthService::SetServing(bool serving) {
  std::vector<std::weak_ptr<Watch>> watching;
  {
    const std::lock_guard lock(mutex_);
    serving_ = serving;
    watching = watching_;
  }
  for (const auto& call : watching) {
    if (const auto watch = call.lock()) watch->Changed();
  }
}

}  // namespace binocle
