#include "cli/client_flags.h"

#include <cmath>
#include <sstream>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/quiet_grpc.h"
#include "cli/small_file.h"

namespace binocle::cli {
namespace {

constexpr double kSecondsOfADay = 86'400;
constexpr const char* kGroup = "Connection";

std::string ReadToken(const std::string& path) {
  if (path.empty()) return "";
  std::string token = ReadSmallFile(path);
  const size_t end = token.find_last_not_of(" \t\r\n");
  token.resize(end == std::string::npos ? 0 : end + 1);
  if (token.empty()) throw UsageError{"--token-file is " + path + ", which holds no token"};
  return token;
}

CLI::Option* AddText(CLI::App& command, const char* option, std::string& value, const char* what) {
  return command.add_option(option, value, what)->check(NotEmpty(option, "a value"))->group(kGroup);
}

}  // namespace

void ConnectionFlags::Add(CLI::App& command) {
  AddText(command, "--server", options.target, "HOST:PORT or unix:PATH")->capture_default_str();
  AddText(command, "--model", options.model,
          "the model's name there (default: the server's first)");
  AddTransport(command);
}

void ConnectionFlags::AddAsChoice(CLI::App& command) {
  options.target.clear();
  AddText(command, "--server", options.target,
          "HOST:PORT or unix:PATH of who answers; --model is then the model's name there");
  AddTransport(command);
}

void ConnectionFlags::AddTransport(CLI::App& command) {
  const auto text = [&](const char* option, std::string& value, const char* what) {
    AddText(command, option, value, what);
  };
  command.add_flag("--tls", options.tls, "speak TLS and believe the usual authorities")
      ->group(kGroup);
  text("--tls-ca", options.tls_ca, "PEM file of the authorities to believe; turns TLS on");
  text("--tls-certificate", options.tls_certificate, "PEM file that says who asks (mutual TLS)");
  text("--tls-key", options.tls_key, "PEM file of its key");
  text("--tls-server-name", options.tls_server_name,
       "what the server's certificate must say (default: the host)");
  text("--token-file", token_file, "file that holds the bearer token");
  command
      .add_option("--timeout", timeout,
                  "seconds that a call may take, its repeats included (0: any)")
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--attempts", options.retry.attempts,
                  "how often a call is tried that the server cannot take now")
      ->check(IsInteger("--attempts"))
      ->capture_default_str()
      ->group(kGroup);
}

Client ConnectionFlags::Connect() const {
  ClientOptions connection = options;
  connection.token = ReadToken(token_file);
  if (!(timeout >= 0 && timeout <= kSecondsOfADay)) {
    std::ostringstream message;
    message << "--timeout is " << timeout << ", expected 0 to " << kSecondsOfADay << " seconds";
    throw UsageError{message.str()};
  }
  connection.timeout = std::chrono::milliseconds(std::llround(std::ceil(timeout * 1000)));
  QuietGrpc();
  return Client::Connect(connection);
}

CallOptions ConnectionFlags::Call() const {
  return {.model = {}, .timeout = {}, .request_id = {}, .keep_going = [] {
            return !InterruptFlag::raised();
          }};
}

}  // namespace binocle::cli
