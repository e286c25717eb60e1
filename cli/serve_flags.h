// The options of `binocle serve`, from the command line and from --config.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "binocle/server.h"
#include "cli/flags.h"

namespace binocle::cli {

struct ModelToServe {
  std::string name;
  std::string path;
  EngineOptions options;
  std::string place;  // of its entry in the configuration, "serve.yaml:7: "; otherwise empty
};

class ServeFlags {
 public:
  void Add(CLI::App& command);
  // Reads --config; what the command line says goes first.
  void ReadConfig(CLI::App& command);

  // At least one; the first is the default. UsageError for two of a name. With `check`, as ranks that nobody has started: a plan is rank 0's.
  std::vector<ModelToServe> Models() const;
  // All but the log.
  ServerOptions Options() const;
  // How long requests under way may go on after a signal.
  std::chrono::milliseconds Patience() const;

  // A message that begins with an option, "--workers is …", with the place in the configuration where the option has its value from.
  std::string WithPlace(const std::string& message) const;

  std::string port_file;
  std::string log = "json";
  bool check = false;

 private:
  std::string config_;
  std::vector<std::string> models_;  // [NAME=]DIRECTORY
  std::vector<ModelToServe> configured_;
  std::map<std::string, std::string> places_;
  ModelFlags model_;  // of all models, where they say nothing else
  ServerOptions server_;
  std::string max_message_, max_request_image_, max_prompt_, image_store_;
  double drain_ = 30, request_timeout_ = 0, stall_limit_ = 30;
  double keepalive_ = 20, keepalive_timeout_ = 10, keepalive_client_ = 10;
};

}  // namespace binocle::cli
