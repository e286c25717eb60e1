#include "service/common/address.h"

#include <sys/un.h>

#include <charconv>

#include "binocle/error.h"
#include "service/common/text.h"

namespace binocle {
namespace {

constexpr char kUnix[] = "unix:";

}  // namespace

Address ParseAddress(const char* option, const std::string& text) {
  const auto fail = [&] {
    throw Error(Code::kInvalidArgument,
                Text(option, " is ", ValidUtf8(text, 200),
                     ", expected HOST:PORT with a port from 0 to 65535"),
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
