#include "service/grpc/tls.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "binocle/error.h"

namespace binocle {
namespace {

template <typename Handle, void (*Free)(Handle*)>
struct Freed {
  void operator()(Handle* handle) const { Free(handle); }
};
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

// Never asks for a pass phrase.
int NoPassPhrase(char*, int, int, void*) { return -1; }

template <typename Read>
auto ReadPem(const std::string& pem, const Read& read) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  auto* handle = read(bio, nullptr, NoPassPhrase, nullptr);
  BIO_free(bio);
  return handle;
}

Certificate CertificateOf(const std::string& pem, const char* option) {
  Certificate certificate(ReadPem(pem, PEM_read_bio_X509));
  if (certificate == nullptr) {
    throw Error(Code::kInvalidArgument, std::string(option) + " has no certificate in PEM form",
                option);
  }
  return certificate;
}

void Check(const TlsOptions& tls) {
  const Certificate certificate = CertificateOf(tls.certificate, "tls_certificate");
  const Key key(ReadPem(tls.key, PEM_read_bio_PrivateKey));
  if (key == nullptr) {
    throw Error(Code::kInvalidArgument,
                "tls_key has no private key in PEM form without a pass phrase", "tls_key");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    throw Error(Code::kInvalidArgument, "tls_key is not the key of the certificate", "tls_key");
  if (!tls.client_ca.empty()) CertificateOf(tls.client_ca, "tls_client_ca");
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const std::optional<TlsOptions>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  Check(*tls);
  grpc::SslServerCredentialsOptions options(
      tls->client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                             : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_key_cert_pairs.push_back({.private_key = tls->key, .cert_chain = tls->certificate});
  options.pem_root_certs = tls->client_ca;
  return grpc::SslServerCredentials(options);
}

}  // namespace binocle
