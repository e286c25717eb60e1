// Who the server says it is, and whom it believes.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>
#include <string>

namespace binocle {

// PEM texts.
struct TlsOptions {
  std::string certificate;  // the server's, then those up to its authority
  std::string key;          // the private key of the first one
  std::string
      client_ca;  // mutual TLS: clients need a certificate of one of these; empty: they need none
};

// Without TLS: plain HTTP/2. INVALID_ARGUMENT for texts that are no certificates or no key, and for a key of another certificate; messages
// show nothing of them.
std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const std::optional<TlsOptions>& tls);

}  // namespace binocle
