// Where the server is and how to talk to it.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "binocle/client.h"

namespace binocle {

class Connection {
 public:
  // Throws as Client::Connect does.
  explicit Connection(const ClientOptions& options);

  const ClientOptions& options() const { return options_; }
  const std::string& token() const { return options_.token; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  ClientOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace binocle
