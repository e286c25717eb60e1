#include "service/common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr char kUnix[] = "unix:";

// A number of IPv4 or IPv6, or what may be a name: nobody is asked for it.
bool MayBeHost(const std::string& host) {
  in6_addr number{};  // of either
  const bool digits = host.find_first_not_of("0123456789.") == std::string::npos;
  if (digits) return inet_pton(AF_INET, host.c_str(), &number) == 1;
  if (host.find(':') != std::string::npos)
    return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &number) == 1;
  if (host == "*") return true;  // every address, to gRPC
  constexpr size_t kMostBytes = 253;
  return host.size() <= kMostBytes && host.front() != '.' && host.find("..") == std::string::npos &&
         std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

Address ParseAddress(const char* option, const std::string& text) {
  const auto fail = [&] {
    throw Error(Code::kInvalidArgument,
                Text(option, " is ", ValidUtf8(text, 200),
                     ", expected HOST:PORT with a name or number and a port from 0 to 65535"),
                option);
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) fail();
  Address address{.host = text.substr(0, colon), .port = -1};
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || after != end || address.port < 0 || address.port > 65535) fail();
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty() || !MayBeHost(address.host)) fail();
  return address;
}

bool IsUnixSocket(const std::string& text) { return text.starts_with(kUnix); }

std::string UnixSocketPath(const std::string& text) {
  constexpr size_t kMostBytes = sizeof(sockaddr_un::sun_path) - 1;
  std::string path = text.substr(sizeof kUnix - 1);
  if (path.empty() || path.size() > kMostBytes) {
    throw Error(Code::kInvalidArgument,
                Text("listen is ", ValidUtf8(text, 200), ", expected a path of 1 to ", kMostBytes,
                     " bytes"),
                "listen");
  }
  return path;
}

}  // namespace binocle
