// A server over a loopback port, and a client of it.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "binocle/v1/model_service.grpc.pb.h"
#include "binocle/v1/vision_language_service.grpc.pb.h"
#include "inference/grpc_service.grpc.pb.h"
#include "service/grpc/server.h"
#include "tests/service/grpc/fake_backend.h"

namespace binocle::testing {

// Whether `condition` becomes true within twenty seconds.
template <typename Condition>
bool Soon(const Condition& condition) {
  for (int i = 0; i < 20000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class ServerTest : public ::testing::Test {
 protected:
  void Start(GrpcServerOptions options = {}) {
    options.on_call = [this](const CallRecord& record) {
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
    };
    server_ = GrpcServer::Start(
        ModelList({{"fake", backend_}, {"other", std::make_shared<FakeBackend>()}}),
        std::move(options));
    Connect(grpc::InsecureChannelCredentials());
  }
  void Connect(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    arguments.SetSslTargetNameOverride(
        "localhost");  // an address, as looking up the name leaks in c-ares
    channel_ = grpc::CreateCustomChannel("ipv4:127.0.0.1:" + std::to_string(server_->port()),
                                         credentials, arguments);
    stub_ = v1::VisionLanguageService::NewStub(channel_);
    models_ = v1::ModelService::NewStub(channel_);
    infer_ = inference::GRPCInferenceService::NewStub(channel_);
  }

  // The status of a question, with a token where there is one.
  grpc::Status Ask(const std::string& prompt, const std::string& token = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::AskRequest request;
    request.set_prompt(prompt);
    return stub_->Ask(&context, request, &answer_);
  }
  std::vector<CallRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }

  std::mutex mutex_;
  std::vector<CallRecord> records_;
  std::shared_ptr<FakeBackend> backend_ = std::make_shared<FakeBackend>();
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VisionLanguageService::Stub> stub_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> infer_;
  v1::AskResponse answer_;
};

}  // namespace binocle::testing
