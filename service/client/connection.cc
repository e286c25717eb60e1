#include "service/client/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "binocle/version.h"
#include "service/common/check_range.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr int64_t kDay = 86'400'000, kHour = 3'600'000;  // milliseconds

ClientOptions Checked(const ClientOptions& o) {
  if (o.target.empty())
    throw Error(Code::kInvalidArgument, "target is empty, expected HOST:PORT", "target");
  CheckRange("timeout", o.timeout.count(), 0, kDay);
  CheckRange("attempts", o.retry.attempts, 1, 1000);
  CheckRange("max_backoff", o.retry.max_backoff.count(), 1, kHour);
  CheckRange("initial_backoff", o.retry.initial_backoff.count(), 1, o.retry.max_backoff.count());
  CheckRange("max_message_bytes", o.max_message_bytes, 1024, INT32_MAX);
  CheckRange("keepalive", o.keepalive.count(), 10'000, INT32_MAX);
  if (!std::all_of(o.token.begin(), o.token.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    throw Error(Code::kInvalidArgument,
                "token has characters that no token has: blanks, line breaks or others outside "
                "ASCII",
                "token");
  }
  if (o.tls_certificate.empty() != o.tls_key.empty()) {
    const char* missing = o.tls_key.empty() ? "tls_key" : "tls_certificate";
    throw Error(Code::kInvalidArgument,
                Text(missing, " is missing: certificate and key go together"), missing);
  }
  return o;
}

std::string ReadPem(const std::string& path, const char* option) {
  if (path.empty()) return "";
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty())
    throw Error(Code::kNotFound, Text(option, " is ", path, ", which cannot be read"), option);
  if (text.str().find("-----BEGIN ") == std::string::npos) {
    throw Error(Code::kInvalidArgument, Text(option, " is ", path, ", which is no PEM file"),
                option);
  }
  return text.str();
}

bool WantsTls(const ClientOptions& o) {
  return o.tls || !o.tls_ca.empty() || !o.tls_certificate.empty() || !o.tls_server_name.empty();
}

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const ClientOptions& o) {
  if (!WantsTls(o)) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({.pem_root_certs = ReadPem(o.tls_ca, "tls_ca"),
                               .pem_private_key = ReadPem(o.tls_key, "tls_key"),
                               .pem_cert_chain = ReadPem(o.tls_certificate, "tls_certificate")});
}

grpc::ChannelArguments ArgumentsOf(const ClientOptions& o) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(std::string("binocle/") + Version());
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(static_cast<int>(o.max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(o.max_message_bytes));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(o.keepalive.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // A long prompt sends nothing for minutes; gRPC would stop to ping after two.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // gRPC's own pace, 1 s to 2 min between connections, would outlast every attempt after a restart of the server.
  const auto milliseconds = [](auto time) {
    return static_cast<int>(std::max<int64_t>(100, time.count()));
  };
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, milliseconds(o.retry.initial_backoff));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(o.retry.max_backoff));
  if (!o.tls_server_name.empty()) arguments.SetSslTargetNameOverride(o.tls_server_name);
  return arguments;
}

}  // namespace

Connection::Connection(const ClientOptions& options)
    : options_(Checked(options)),
      channel_(grpc::CreateCustomChannel(options.target, CredentialsOf(options),
                                         ArgumentsOf(options))) {}

}  // namespace binocle
