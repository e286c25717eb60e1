// Heads and chunks as strangers send them, before cpp-httplib sees them.
#include <gtest/gtest.h>

#include <string>

#include "service/http/chunk_framing.h"
#include "service/http/request_head.h"

namespace binocle::http {
namespace {

std::string FaultOf(const std::string& headers, const std::string& line = "POST /x HTTP/1.1") {
  return ReadHead(line + headers).fault;
}

TEST(RequestHead, LengthsAreDigits) {
  for (const char* length : {"0", "5", "  7\t", "99999999999999999999"})
    EXPECT_EQ(FaultOf(std::string("\r\nHost: x\r\ncontent-length:") + length), "") << length;
  for (const char* length : {"", " ", "-3", "+5", "abc", "0x5", "5, 5", "5 5", "%35"})
    EXPECT_TRUE(FaultOf(std::string("\r\nHost: x\r\ncontent-length:") + length)
                    .starts_with("Content-Length is \""))
        << length;
  EXPECT_EQ(FaultOf("\r\nHost: x\r\nContent-Length: -3"),
            "Content-Length is \"-3\", expected digits");
}

TEST(RequestHead, TheEndOfTheBodyIsToldOnce) {
  EXPECT_EQ(FaultOf("\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6"),
            "Content-Length is \"5\" and again \"6\", expected one");
  EXPECT_EQ(FaultOf("\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked"),
            "Content-Length and Transfer-Encoding are both there, expected one of them");
  EXPECT_EQ(FaultOf("\r\nHost: x\r\nTransfer-Encoding: gzip, chunked"),
            "Transfer-Encoding is \"gzip, chunked\", expected chunked");
  EXPECT_TRUE(ReadHead("POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: Chunked").chunked);
}

TEST(RequestHead, HasOneHost) {
  EXPECT_EQ(FaultOf(""), "Host is missing, expected one");
  EXPECT_EQ(FaultOf("\r\nX-Host: x"), "Host is missing, expected one");
  EXPECT_EQ(FaultOf("\r\nhost: x\r\nHOST: x"), "Host is there twice, expected one");
  for (const char* host : {"", " x", " x:80", " [::1]:80"})
    EXPECT_EQ(FaultOf(std::string("\r\nHost:") + host), "") << host;
  for (const char* host : {"a b", "a/b", "a,b", "u@a", "a?b", "a#b"})
    EXPECT_TRUE(FaultOf(std::string("\r\nHost: ") + host).starts_with("Host is \"")) << host;
  EXPECT_EQ(FaultOf("", "GET / HTTP/1.0"), "");
}

TEST(RequestHead, LeavesRangesOut) {
  std::string text = "GET / HTTP/1.1\r\nrange: bytes=0-1\r\nHost: x\r\nRanges: y\r\nRANGE:";
  const RequestHead head = ReadHead(text);
  for (auto line = head.to_leave_out.rbegin(); line != head.to_leave_out.rend(); ++line)
    text.erase(line->at, line->size);
  EXPECT_EQ(text, "GET / HTTP/1.1\r\nHost: x\r\nRanges: y");
}

TEST(RequestHead, LinesAreWhole) {
  for (const char* line : {"Host", "Host : x", " folded", "X: a\nContent-Length: 5", "X: a\rb", ""})
    EXPECT_TRUE(FaultOf(std::string("\r\nHost: x\r\n") + line).starts_with("a header line"))
        << line;
  EXPECT_EQ(FaultOf("\r\nHost: x\r\nAuthorization: Bearer secret\x01"),
            "a header line begins with \"Authorization\", expected NAME: VALUE");
  for (const char* line : {"", "GET", "GET /", "GET  / HTTP/1.1", "GET / x HTTP/1.1", "GET /\t H"})
    EXPECT_TRUE(FaultOf("\r\nHost: x", line).starts_with("the request line is")) << line;
}

TEST(RequestHead, AbsoluteTargetsArePathsToUs) {
  const auto path_of = [](std::string target) {
    const RequestHead head = ReadHead("GET " + target + " HTTP/1.1\r\nHost: x");
    EXPECT_EQ(head.authority_at, 4U);
    if (!head.fault.empty()) return head.fault;
    if (head.authority_size > 0) target.replace(0, head.authority_size, head.has_path ? "" : "/");
    return target;
  };
  EXPECT_EQ(path_of("http://host/v1/models"), "/v1/models");
  EXPECT_EQ(path_of("HTTPS://[::1]:8080/a?b=http://c/d"), "/a?b=http://c/d");
  EXPECT_EQ(path_of("http://host"), "/");
  EXPECT_EQ(path_of("http://host?q"), "/?q");
  EXPECT_EQ(path_of("/v1/models?from=http://c/d"), "/v1/models?from=http://c/d");
  EXPECT_EQ(path_of("ftp://host/a"), "ftp://host/a");
  EXPECT_EQ(path_of("http:///a"), "the target is \"http:///a\", expected http://HOST/PATH");
  EXPECT_EQ(path_of("http://good@bad/a"),
            "the target is \"http://good@bad/a\", expected http://HOST/PATH");
}

// The fault of chunks that come in pieces of every size.
std::string FaultOfChunks(const std::string& body) {
  std::string fault;
  for (const size_t piece : {size_t{1}, size_t{3}, body.size()}) {
    ChunkFraming framing;
    for (size_t at = 0; at < body.size(); at += piece)
      if (!framing.Accept(std::string_view(body).substr(at, piece))) break;
    EXPECT_TRUE(piece == 1 || framing.fault() == fault) << body;
    fault = framing.fault();
  }
  return fault;
}

TEST(ChunkFraming, TakesWhatTheRuleAllows) {
  for (const char* body : {"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "00A ;x=\"y\"\r\n0123456789\r\n",
                           "2\r\n\r\n\r\n1\r\n", ""})
    EXPECT_EQ(FaultOfChunks(body), "") << body;
}

TEST(ChunkFraming, RefusesTrailersByName) {
  EXPECT_EQ(FaultOfChunks("0\r\nDigest: x\r\n\r\n"),
            "after the last chunk comes the line \"Digest: x\", expected none: trailer fields are "
            "not supported");
}

TEST(ChunkFraming, SizesAreHexadecimalDigits) {
  for (const char* size : {"-5", "-1", "+5", "0x5", "", " 5", "5xyz", "5 5", "11111111111111111"})
    EXPECT_EQ(FaultOfChunks(std::string(size) + "\r\nhello"),
              "a chunk's size is \"" + std::string(size) + "\", expected hexadecimal digits");
  EXPECT_EQ(FaultOfChunks("5\nhello"), "a chunk's size is \"5\", expected hexadecimal digits");
  EXPECT_EQ(FaultOfChunks("5\r\nhello!\r\n"), "a chunk does not end where its size says");
  EXPECT_EQ(FaultOfChunks("5;" + std::string(5000, 'x')),
            "a line between chunks has more than 4096 bytes");
}

}  // namespace
}  // namespace binocle::http
