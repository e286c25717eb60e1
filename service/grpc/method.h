// Methods of one request, which are called as soon as their call begins and wait for the request themselves.
//
// gRPC begins unary and server-streaming methods when the request is there; until then it holds the call for as long as the client answers
// pings, and nothing that 1.51 offers sees it: interceptors and context allocators run afterwards, deadlines are the client's. To a server a
// unary call is a stream with one message each way, and grpc::Service can have it so ("streamed" methods). Tokens are looked at before
// a byte of a request is waited for, too.
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <utility>

#include "service/grpc/incoming.h"
#include "service/grpc/outgoing.h"
#include "service/grpc/service_context.h"

namespace binocle {

// Whether a request is needed when its handler has returned.
enum class RequestIs : bool { kFreed, kKept };

// Answers one request; `response` is there until the call has ended, `request` too where it is kept.
template <typename Request, typename Response>
using UnaryHandle = void (*)(const ServiceContext& services,
                             const grpc::CallbackServerContext& context,
                             const std::shared_ptr<UnaryCall>& call, const Request& request,
                             Response& response);

// Lives as long as gRPC calls it.
template <typename Request, typename Response>
class UnaryReactor final : public grpc::ServerBidiReactor<Incoming<Request>, grpc::ByteBuffer>,
                           public UnaryCall::Transport {
 public:
  using Handle = UnaryHandle<Request, Response>;

  UnaryReactor(const ServiceContext& services, grpc::CallbackServerContext& context,
               const std::shared_ptr<CallGate::Call>& call, RequestIs afterwards, Handle handle)
      : services_(services),
        context_(context),
        afterwards_(afterwards),
        handle_(handle),
        call_(std::make_shared<UnaryCall>(context, call, *this, services.replies)) {
    if (!call->refusal().ok()) {
      call_->End(call->refusal());
    } else {
      services.stalls.Add(call_);
      this->StartRead(&request_);
    }
  }

  size_t ResponseBytes() const override { return response_.ByteSizeLong(); }
  void SendEnd(const grpc::Status& status) override {
    if (status.ok()) bytes_ = BytesOf(response_);
    Response().Swap(&response_);  // frees what a slow client would keep for long
    if (status.ok()) return this->StartWriteAndFinish(&bytes_, {}, status);
    this->Finish(status);
  }

  void OnReadDone(bool ok) override {
    const UnaryCall::Next next = call_->OnRead(ok);
    if (next == UnaryCall::Next::kReadOn) return this->StartRead(&request_);
    if (next == UnaryCall::Next::kNothing) return;
    const grpc::Status status =
        Guarded([&] { handle_(services_, context_, call_, request_.get(), response_); });
    if (afterwards_ == RequestIs::kFreed) request_.Free();
    if (!status.ok()) call_->End(status);
  }
  void OnCancel() override { call_->Cancel(); }
  void OnDone() override {
    call_->Done();
    delete this;
  }

 private:
  const ServiceContext& services_;
  grpc::CallbackServerContext& context_;
  const RequestIs afterwards_;
  const Handle handle_;
  const std::shared_ptr<UnaryCall> call_;
  Incoming<Request> request_;
  Response response_;
  grpc::ByteBuffer bytes_;  // of the response, once it is sent
};

// `Proto` is what protoc makes of a service: v1::ModelService.
template <typename Proto>
class EarlyService : public Proto::Service {
 protected:
  explicit EarlyService(const ServiceContext& services) : services_(services) {}

  template <typename Request, typename Response>
  void Serve(const char* method, CallKind kind, UnaryHandle<Request, Response> handle,
             RequestIs afterwards = RequestIs::kFreed) {
    Begin<Request>(method, [=, &services = services_](auto* context) {
      return new UnaryReactor<Request, Response>(
          services, *context, services.gate.Enter(*context, method, kind), afterwards, handle);
    });
  }

  // `begin` makes the reactor of a call, which writes what BytesOf makes of messages.
  template <typename Request, typename Make>
  void Begin(const char* method, const Make& begin) {
    const int index = IndexOf(method);
    using Handler = grpc::internal::CallbackBidiHandler<Incoming<Request>, grpc::ByteBuffer>;
    this->MarkMethodStreamed(index, new Handler(begin));
    this->MarkMethodCallback(index, new Handler(begin));  // takes the place of the other
  }

  // The same of a method whose client sends several messages; `begin` is given the response too.
  template <typename Request, typename Response, typename Make>
  void BeginPieces(const char* method, const Make& begin) {
    using Handler = grpc::internal::CallbackClientStreamingHandler<Incoming<Request>, Response>;
    this->MarkMethodCallback(IndexOf(method), new Handler(begin));
  }

  const ServiceContext& services_;

 private:
  static int IndexOf(const char* method) {
    const std::string name = std::string(Proto::service_full_name()) + "." + method;
    return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name)->index();
  }
};

}  // namespace binocle
