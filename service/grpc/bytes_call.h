// Calls of methods whose requests are bytes, short ones: strangers may call them, and gRPC's own services, made for such methods, hold what has
// come of a message of any size for as long as its client answers pings.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "service/grpc/stall_watch.h"

namespace binocle {

// Shared by gRPC's reactor and the watch. What is protected is called, and overridden, with the call's lock held.
class BytesCall : public StallWatch::Watched {
 public:
  static constexpr size_t kMaxRequestBytes = 4096;

  // The reactor goes to gRPC and deletes itself. A call whose client neither sends nor reads for as long as `stalls` allows ends with
  // DEADLINE_EXCEEDED.
  static grpc::ServerGenericBidiReactor* Begin(const std::shared_ptr<BytesCall>& call,
                                               StallWatch& stalls);
  // Between two requests too: one that is half here looks like none.
  void EndIfStalled(StallWatch::Clock::time_point before) override;

 protected:
  // kOne: a message, and the end of what the client sends; else the call ends with INVALID_ARGUMENT.
  enum class Requests : uint8_t { kOne, kMany };
  BytesCall(grpc::GenericCallbackServerContext& context, Requests requests)
      : requests_(requests), context_(&context) {}

  // Each ends in one of Read, Write, WriteLast, Wait or End, or leaves the call as it is.
  virtual void OnRequest(std::string_view bytes) = 0;
  virtual void OnNoRequest() { End(grpc::Status::OK); }  // the client sends no more
  virtual void OnSent() = 0;

  void Read();
  void Write(std::string_view bytes);
  void WriteLast(std::string_view bytes);  // and ends with OK
  void Wait();
  void End(const grpc::Status& status);
  bool waits() const { return reactor_ != nullptr && waiting_ == Waiting::kForUs; }

  std::mutex& mutex() { return mutex_; }

 private:
  class Reactor;
  enum class Waiting : uint8_t { kForRequest, kForReader, kForUs };

  void OnReadDone(bool ok);
  void OnWriteDone(bool ok);
  void OnCancel();
  void OnDone();

  const Requests requests_;
  std::mutex mutex_;                                   // guards what follows
  grpc::GenericCallbackServerContext* context_;        // null once gRPC is done with the call
  grpc::ServerGenericBidiReactor* reactor_ = nullptr;  // null once finished
  grpc::ByteBuffer request_, response_;
  std::optional<std::string> only_;  // of kOne: the message that has come, until its end does
  bool cancelled_ = false;
  Waiting waiting_ = Waiting::kForUs;
  StallWatch::Clock::time_point since_;  // of the read or write that is under way
};

}  // namespace binocle
