// Bodies that come packed.
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "service/http/body_decoder.h"
#include "service/http/http_server.h"
#include "tests/http/bodies.h"
#include "tests/http/fake_backend.h"
#include "tests/http/raw_client.h"

namespace binocle::http {
namespace {

using testing::Exchange1;
using testing::FakeBackend;
using testing::PostText;
using testing::RawReply;
using testing::Served;

std::string Gzipped(std::string text) {
  z_stream zip{};
  EXPECT_EQ(deflateInit2(&zip, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&zip, text.size()), '\0');
  zip.next_in = reinterpret_cast<Bytef*>(text.data());
  zip.avail_in = static_cast<uInt>(text.size());
  zip.next_out = reinterpret_cast<Bytef*>(packed.data());
  zip.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&zip, Z_FINISH), Z_STREAM_END);
  packed.resize(zip.total_out);
  deflateEnd(&zip);
  return packed;
}

std::string Question() {
  Json body = testing::ChatBody();
  body["model"] = "fake";
  return body.dump();
}

class BodyEncoding : public ::testing::Test {
 protected:
  RawReply Post(const std::string& encoding, const std::string& body) {
    return Exchange1(server_.port(), PostText("/v1/chat/completions", body,
                                              "Content-Encoding: " + encoding + "\r\n"));
  }

  FakeBackend backend_;
  HttpServer server_{Served(backend_), {.max_body_bytes = 1 << 20}, {}};
};

TEST_F(BodyEncoding, GzipIsUnpacked) {
  const std::string text = Question();
  EXPECT_EQ(Post("gzip", Gzipped(text)).status, 200);
  EXPECT_EQ(Post("X-GZIP", Gzipped(text)).status, 200);
  EXPECT_EQ(Post("identity", text).status, 200);
  EXPECT_EQ(Post("gzip", Gzipped(text.substr(0, 30)) + Gzipped(text.substr(30))).status, 200)
      << "two members are one body";
}

TEST_F(BodyEncoding, OthersAreRefusedByName) {
  for (const std::string name : {"br", "zstd", "deflate", "gzip, gzip"}) {
    const RawReply reply = Post(name, Question());
    EXPECT_EQ(reply.status, 415) << name;
    EXPECT_EQ(reply.headers.at("accept-encoding"), "gzip");
    EXPECT_EQ(Json::parse(reply.body)["error"]["message"],
              "Content-Encoding is \"" + name + "\", expected gzip, or no encoding");
  }
}

TEST_F(BodyEncoding, WhatIsNotWholeIsRefused) {
  const std::string packed = Gzipped(Question());
  const auto message = [&](const std::string& body) {
    const RawReply reply = Post("gzip", body);
    EXPECT_EQ(reply.status, 400);
    return Json::parse(reply.body)["error"]["message"].get<std::string>();
  };
  const std::string damaged =
      "the body: is no gzip, or is damaged: it or its checksum is not what Content-Encoding says";
  const std::string cut = "the body: ends before the gzip in it does";
  EXPECT_EQ(message(Question()), damaged);
  EXPECT_EQ(message(packed.substr(0, packed.size() - 8) + "abcdefgh"), damaged);
  EXPECT_EQ(message(packed + "and more"), damaged);
  EXPECT_EQ(message(packed.substr(0, packed.size() - 8)), cut) << "without its checksum";
  EXPECT_EQ(message(packed.substr(0, packed.size() / 2)), cut);
  EXPECT_EQ(message(""), cut);
}

TEST_F(BodyEncoding, TheLimitIsOfUnpackedBytes) {
  EXPECT_EQ(Post("gzip", Gzipped(std::string(2 << 20, ' '))).status, 413);
}

// However the bytes are cut.
TEST(BodyDecoder, TakesPieces) {
  const std::string text(100'000, 'x'), packed = Gzipped(text);
  for (const size_t piece : {size_t{1}, size_t{7}, packed.size()}) {
    const auto decoder = MakeBodyDecoder("gzip");
    std::string unpacked;
    for (size_t at = 0; at < packed.size(); at += piece) {
      EXPECT_TRUE(
          decoder->Accept(std::string_view(packed).substr(at, piece), [&](std::string_view bytes) {
            unpacked += bytes;
            return true;
          }));
    }
    EXPECT_EQ(decoder->Fault(), "");
    EXPECT_EQ(unpacked, text);
  }
}

}  // namespace
}  // namespace binocle::http
