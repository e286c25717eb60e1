// TLS with certificates that are made here: who is believed, and who is not.
#include "service/grpc/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/service/grpc/server_testing.h"
#include "tests/testing/errors.h"

namespace binocle {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::ServerTest;
using testing::Soon;

template <typename Write>
std::string PemOf(const Write& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const auto size = static_cast<size_t>(BIO_get_mem_data(bio, &data));
  std::string pem(data, size);
  BIO_free(bio);
  return pem;
}

// A key and a certificate for localhost, signed by another identity or by itself.
class Identity {
 public:
  explicit Identity(const char* name, const Identity* authority = nullptr, long seconds = 3600)
      : key_(EVP_RSA_gen(2048)), certificate_(X509_new()) {
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), seconds);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509* issuer = authority != nullptr ? authority->certificate_ : certificate_;
    X509_set_issuer_name(certificate_, X509_get_subject_name(issuer));
    if (authority == nullptr) {
      Extend(NID_basic_constraints, "critical,CA:TRUE");
    } else {
      Extend(NID_subject_alt_name, "DNS:localhost");
    }
    X509_sign(certificate_, authority != nullptr ? authority->key_ : key_, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  std::string certificate() const {
    return PemOf([&](BIO* bio) { PEM_write_bio_X509(bio, certificate_); });
  }
  std::string key() const {
    return PemOf([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key_, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

 private:
  void Extend(int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate_, certificate_, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static inline long serial = 0;
  EVP_PKEY* key_;
  X509* certificate_;
};

class TlsTest : public ServerTest {
 protected:
  void Serve(const Identity& identity, const std::string& client_ca = "") {
    GrpcServerOptions options;
    options.tls = TlsOptions{
        .certificate = identity.certificate(), .key = identity.key(), .client_ca = client_ca};
    Start(std::move(options));
  }
  // The code of a question from a client that believes `root` and shows `own`.
  grpc::StatusCode AskAs(const Identity& root, const Identity* own = nullptr) {
    grpc::SslCredentialsOptions options{
        .pem_root_certs = root.certificate(), .pem_private_key = {}, .pem_cert_chain = {}};
    if (own != nullptr) {
      options.pem_private_key = own->key();
      options.pem_cert_chain = own->certificate();
    }
    Connect(grpc::SslCredentials(options));
    return Ask("say a").error_code();
  }

  Identity authority_{"authority"}, stranger_{"stranger"};
  Identity server_identity_{"server", &authority_};
};

TEST_F(TlsTest, AClientThatKnowsTheAuthorityIsServed) {
  Serve(server_identity_);
  EXPECT_EQ(AskAs(authority_), grpc::StatusCode::OK);
  EXPECT_EQ(AskAs(stranger_), grpc::StatusCode::UNAVAILABLE);
  Connect(grpc::InsecureChannelCredentials());
  EXPECT_EQ(Ask("say a").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, MutualTlsWantsACertificateOfItsAuthority) {
  Serve(server_identity_, authority_.certificate());
  const Identity client("client", &authority_), other("other", &stranger_),
      expired("expired", &authority_, -60);
  EXPECT_EQ(AskAs(authority_, &client), grpc::StatusCode::OK);
  EXPECT_EQ(AskAs(authority_), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(AskAs(authority_, &other), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(AskAs(authority_, &expired), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(AskAs(authority_, &client), grpc::StatusCode::OK);
}

TEST_F(TlsTest, AnExpiredServerIsNotBelieved) {
  const Identity expired("expired", &authority_, -60);
  Serve(expired);
  EXPECT_EQ(AskAs(authority_), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, WhatIsNoCertificateOrAnothersKeyIsRefusedAtOnce) {
  const auto error = [](const TlsOptions& tls) { return ErrorOf([&] { CredentialsOf(tls); }); };
  const std::string certificate = server_identity_.certificate(), key = server_identity_.key();
  EXPECT_THAT(error({certificate, "secret", ""}),
              HasSubstr("INVALID_ARGUMENT: tls_key has no private key"));
  EXPECT_THAT(error({"x", key, ""}),
              HasSubstr("INVALID_ARGUMENT: tls_certificate has no certificate"));
  EXPECT_THAT(error({certificate, stranger_.key(), ""}),
              HasSubstr("is not the key of the certificate"));
  EXPECT_THAT(error({certificate, key, "x"}), HasSubstr("tls_client_ca has no certificate"));
  EXPECT_EQ(error({certificate, key, certificate}), "no error");
}

}  // namespace
}  // namespace binocle
