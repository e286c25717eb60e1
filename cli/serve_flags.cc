#include "cli/serve_flags.h"

#include <cmath>
#include <filesystem>
#include <set>
#include <sstream>
#include <utility>

#include "cli/commands.h"
#include "cli/config_file.h"

namespace binocle::cli {
namespace {

constexpr double kHour = 3600, kDay = 86'400;

// The ranges of ServerOptions, in seconds and under the names that are typed.
std::chrono::milliseconds Milliseconds(const char* option, double seconds, double low,
                                       double high) {
  const auto refuse = [&](const auto& least) {
    std::ostringstream message;
    message << option << " is " << seconds << ", expected " << least << " to " << high;
    throw UsageError{message.str()};
  };
  if (!(seconds >= low && seconds <= high)) refuse(low);
  const std::chrono::milliseconds rounded(std::llround(seconds * 1000));
  if (rounded.count() == 0 && seconds > 0) refuse("0 or 0.001");  // 0 may mean something else
  return rounded;
}

int64_t BytesOr(const std::string& text, const char* option, int64_t otherwise) {
  if (text.empty()) return otherwise;
  return text == "0" ? 0 : ParseBytes(text, option);
}

// A size that is none is told with the place of its entry.
EngineOptions OptionsIn(const ConfigMap& entry, const ModelFlags& flags, bool check) {
  try {
    return check ? flags.PlannedOptions() : flags.Options();
  } catch (const UsageError& error) {
    throw UsageError{entry.Place() + error.message};
  }
}

// "models/binocle-tiny/" is called binocle-tiny.
std::string NameOf(const std::string& path) {
  const std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  return (clean.has_filename() ? clean : clean.parent_path()).filename().string();
}

}  // namespace

void ServeFlags::Add(CLI::App& command) {
  const auto text = [&](const char* option, std::string& value, const char* what,
                        const char* group) {
    command.add_option(option, value, what)->capture_default_str()->group(group);
  };
  const auto seconds = [&](const char* option, double& value, const char* what) {
    command.add_option(option, value, what)->capture_default_str()->group("Connections");
  };
  // An empty name, of a variable that was not set, must not open the server to everybody.
  const auto file = [&](const char* option, std::string& value, const char* what,
                        const char* group) {
    command.add_option(option, value, what)->check(NotEmpty(option, "a file"))->group(group);
  };
  file("--config", config_, "YAML or JSON file with these options, max_images for --max-images",
       "Server");
  command.add_flag("--check", check, "check options, files and models, load nothing, and end")
      ->group("Server");
  text("--listen", server_.listen,
       "HOST:PORT or unix:PATH of gRPC; port 0: a free one; none: no gRPC", "Server");
  text("--http", server_.http, "HOST:PORT of HTTP; none: no HTTP", "Server");
  file("--port-file", port_file, "written when the server is ready: {\"grpc\":N,\"http\":N}",
       "Server");
  text("--log", log, "json: a line on stderr for each call; none", "Server");
  command
      .add_option("--drain-seconds", drain_,
                  "after SIGTERM or SIGINT, how long requests under way may go on")
      ->capture_default_str()
      ->group("Server");

  file("--tls-certificate", server_.tls_certificate, "PEM file; gRPC speaks TLS", "Access");
  file("--tls-key", server_.tls_key, "PEM file of its key", "Access");
  file("--tls-client-ca", server_.tls_client_ca, "PEM file; clients need a certificate of it",
       "Access");
  file("--tokens", server_.tokens, "file of bearer tokens and their limits", "Access");
  command
      .add_option("--allow-files", server_.allow_files,
                  "directory whose files requests may name by file: URIs (repeatable)")
      ->allow_extra_args(false)
      ->group("Access");
  command.add_option("--cors-origin", server_.cors_origin, "pages of this origin may call HTTP")
      ->check(NotEmpty("--cors-origin", "an origin"))
      ->group("Access");

  text("--max-message-bytes", max_message_, "of a message or body (default: 64M)", "Limits");
  text("--max-request-image-bytes", max_request_image_, "of a request's pictures (default: 256M)",
       "Limits");
  text("--max-prompt-bytes", max_prompt_, "of a request's texts (default: 4M)", "Limits");
  text("--image-store", image_store_, "how much of uploaded pictures is kept (default: 512M)",
       "Limits");
  const auto number = [&](const char* option, int64_t& value, const char* what) {
    command.add_option(option, value, what)
        ->check(IsInteger(option))
        ->capture_default_str()
        ->group("Limits");
  };
  number("--max-connections", server_.max_connections, "of HTTP");
  number("--workers", server_.workers, "calls of Embed and Explain at a time");
  seconds("--request-timeout-seconds", request_timeout_,
          "a request that takes longer fails, 0 to 86400 (0: none does)");
  seconds("--stall-seconds", stall_limit_,
          "a client that does not read for so long, 1 to 3600, is cut off");
  seconds("--keepalive-seconds", keepalive_, "gRPC pings a silent client after so long");
  seconds("--keepalive-timeout-seconds", keepalive_timeout_,
          "and closes when no answer comes in this time");
  seconds("--keepalive-client-seconds", keepalive_client_, "clients may ping as often as this");

  model_.Add(command);
  model_.AddBatching(command);
  command.remove_option(command.get_option("--model"));
  command
      .add_option("--model", models_,
                  "[NAME=]DIRECTORY, the first is the default (repeatable; default: the small\n"
                  "model that comes with Binocle)")
      ->check(NotEmpty("--model", "[NAME=]DIRECTORY"))
      ->allow_extra_args(false)
      ->group("Model");
}

void ServeFlags::ReadConfig(CLI::App& command) {
  if (config_.empty()) return;
  const ConfigMap config = ConfigMap::Read(config_);
  if (config.Has("model") && config.Has("models"))
    throw UsageError{config_ + ": has model and models, expected one of them"};
  places_ = config.Apply(command, {"models"});
  for (const ConfigMap& entry : config.Maps("models")) {
    ModelFlags flags = model_;
    CLI::App options;
    flags.Add(options);
    flags.AddBatching(options);
    options.remove_option(options.get_option("--model"));
    entry.Apply(options, {"name", "path"});
    const std::string path = entry.Text("path");
    if (path.empty()) throw UsageError{entry.Place() + "has no path, expected one"};
    const std::string name = entry.Text("name");
    configured_.push_back(
        {name.empty() ? NameOf(path) : name, path, OptionsIn(entry, flags, check), entry.Place()});
  }
}

std::string ServeFlags::WithPlace(const std::string& message) const {
  const auto place = places_.find(message.substr(0, message.find_first_of(" :")));
  return place == places_.end() ? message : place->second + message;
}

std::vector<ModelToServe> ServeFlags::Models() const {
  std::vector<ModelToServe> models;
  const EngineOptions options = check ? model_.PlannedOptions() : model_.Options();
  for (const std::string& model : models_) {
    // A path may have '=' in it, a name no '/'.
    const size_t equals = model.find('=');
    const bool named = equals != std::string::npos && equals > 0 && equals < model.find('/');
    const std::string path = named ? model.substr(equals + 1) : model;
    models.push_back({named ? model.substr(0, equals) : NameOf(path), path, options, ""});
  }
  if (models.empty()) models = configured_;
  if (models.empty()) {
    const std::string path = model_.Path();
    models.push_back({NameOf(path), path, options, ""});
  }
  std::set<std::string> names;
  for (const ModelToServe& model : models) {
    if (!names.insert(model.name).second)
      throw UsageError{"--model: two are called " + model.name +
                       "; NAME=DIRECTORY gives another name"};
  }
  return models;
}

ServerOptions ServeFlags::Options() const {
  ServerOptions options = server_;
  if (options.listen == "none") options.listen.clear();
  if (options.http == "none") options.http.clear();
  options.max_message_bytes =
      BytesOr(max_message_, "--max-message-bytes", options.max_message_bytes);
  options.max_request_image_bytes =
      BytesOr(max_request_image_, "--max-request-image-bytes", options.max_request_image_bytes);
  options.max_prompt_bytes = BytesOr(max_prompt_, "--max-prompt-bytes", options.max_prompt_bytes);
  options.image_store_bytes = BytesOr(image_store_, "--image-store", options.image_store_bytes);
  options.request_timeout = Milliseconds("--request-timeout-seconds", request_timeout_, 0, kDay);
  options.stall_limit = Milliseconds("--stall-seconds", stall_limit_, 1, kHour);
  options.keepalive_interval = Milliseconds("--keepalive-seconds", keepalive_, 1, kHour);
  options.keepalive_timeout =
      Milliseconds("--keepalive-timeout-seconds", keepalive_timeout_, 1, kHour);
  options.keepalive_client_interval =
      Milliseconds("--keepalive-client-seconds", keepalive_client_, 0, kHour);
  return options;
}

std::chrono::milliseconds ServeFlags::Patience() const {
  return Milliseconds("--drain-seconds", drain_, 0, kDay);
}

}  // namespace binocle::cli
