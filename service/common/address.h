// Where servers listen.
#pragma once

#include <string>

namespace binocle {

struct Address {
  std::string host;  // a name or a number, without brackets
  int port = 0;
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:0". Throws INVALID_ARGUMENT about the option, also for a
// host that can be none. Whether there is one of that name it does not ask.
Address ParseAddress(const char* option, const std::string& text);

// "unix:/run/binocle.sock": a socket file instead of a port.
bool IsUnixSocket(const std::string& text);
// The file's path. Throws INVALID_ARGUMENT about the option `listen` where it is empty or too long for the system.
std::string UnixSocketPath(const std::string& text);

}  // namespace binocle
