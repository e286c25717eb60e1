// A server whose answers a test chooses, over a loopback port.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "binocle/client.h"
#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"

namespace binocle::testing {

struct StatusWith {
  google::rpc::Status details;

  StatusWith& Violation(const std::string& field, const std::string& description) {
    auto& added = *bad.add_field_violations();
    added.set_field(field);
    added.set_description(description);
    return *this;
  }
  StatusWith& RetryAfter(int milliseconds) {
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_nanos(milliseconds * 1'000'000);
    details.add_details()->PackFrom(info);
    return *this;
  }
  grpc::Status Of(grpc::StatusCode code, const std::string& message) {
    if (bad.field_violations_size() > 0) details.add_details()->PackFrom(bad);
    details.set_code(code);
    return {code, message, details.SerializeAsString()};
  }

 private:
  google::rpc::BadRequest bad;
};

class FakeServer final : public v1::VisionLanguageService::Service {
 public:
  using Writer = grpc::ServerWriter<v1::GenerateResponse>;

  FakeServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  Client Connect(ClientOptions options = {}) const {
    options.target = "127.0.0.1:" + std::to_string(port_);
    options.retry.initial_backoff = std::chrono::milliseconds(2);
    options.retry.max_backoff = std::chrono::milliseconds(8);
    return Client::Connect(options);
  }

  grpc::Status Ask(grpc::ServerContext* context, const v1::AskRequest* request,
                   v1::AskResponse* response) override {
    ++calls;
    asked = *request;
    Remember(*context);
    return on_ask ? on_ask(*response) : grpc::Status::OK;
  }
  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest*,
                        Writer* writer) override {
    ++calls;
    Remember(*context);
    return on_generate ? on_generate(*writer, *context) : grpc::Status::OK;
  }
  grpc::Status UploadImage(grpc::ServerContext*, grpc::ServerReader<v1::UploadImageRequest>* reader,
                           v1::UploadImageResponse* response) override {
    ++calls;
    v1::UploadImageRequest piece;
    std::string bytes;
    while (reader->Read(&piece)) {
      if (piece.has_metadata()) metadata = piece.metadata();
      bytes += piece.chunk();
    }
    uploaded = bytes;
    if (on_upload) return on_upload();
    response->set_id(metadata.id());
    response->set_bytes(static_cast<int64_t>(bytes.size()));
    return grpc::Status::OK;
  }

  std::function<grpc::Status(v1::AskResponse&)> on_ask;
  std::function<grpc::Status(Writer&, grpc::ServerContext&)> on_generate;
  std::function<grpc::Status()> on_upload;
  std::atomic<int> calls = 0;
  v1::AskRequest asked;
  v1::ImageMetadata metadata;
  std::string uploaded;
  std::string request_id, authorization;

 private:
  void Remember(const grpc::ServerContext& context) {
    const std::lock_guard lock(mutex_);
    const auto& sent = context.client_metadata();
    const auto text = [&](const char* key) {
      const auto found = sent.find(key);
      return found == sent.end() ? std::string()
                                 : std::string(found->second.data(), found->second.size());
    };
    request_id = text("x-request-id");
    authorization = text("authorization");
  }

  std::mutex mutex_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace binocle::testing
