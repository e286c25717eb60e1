// binocle serve: models behind gRPC and HTTP, until SIGTERM.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "binocle/server.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/freed_memory.h"
#include "cli/load_engine.h"
#include "cli/log_writer.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/quiet_grpc.h"
#include "cli/serve_flags.h"
#include "cli/stop_signal.h"

namespace binocle::cli {
namespace {

// A port file can be made there, where at most one is that a killed server left behind.
void CheckPortFile(const std::string& path) {
  if (path.empty()) return;
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    throw Error(Code::kFailedPrecondition, path + ": cannot be written: " + std::strerror(errno));
  if (!std::filesystem::exists(path)) return;
  std::ifstream file(path);
  std::string begin(8, '\0');
  file.read(begin.data(), 8);
  if (!std::filesystem::is_regular_file(path) || (file.gcount() > 0 && begin != "{\"grpc\":"))
    throw Error(Code::kAlreadyExists, path + ": is there and is no port file");
}

// Where the ports are told; a file of an earlier server would lead clients astray.
class PortFile {
 public:
  explicit PortFile(std::string path) : path_(std::move(path)) {
    CheckPortFile(path_);
    Remove();
  }
  ~PortFile() { Remove(); }
  PortFile(const PortFile&) = delete;
  PortFile& operator=(const PortFile&) = delete;

  void Write(const Server& server) {
    if (path_.empty()) return;
    const nlohmann::ordered_json ports{{"grpc", server.grpc_port()}, {"http", server.http_port()}};
    WriteNewFile(path_, ports.dump() + "\n", Overwrite::kAllowed);
  }

  void Remove() const {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }

 private:
  std::string path_;
};

ServerOptions OptionsOf(const ServeFlags& flags) {
  ServerOptions options = flags.Options();
  if (flags.log == "json") {
    // Shared with calls, which may outlive the server.
    const auto writer = std::make_shared<LogWriter>(STDERR_FILENO);
    options.log = [writer](std::string_view line) { writer->Write(line); };
  } else if (flags.log != "none") {
    throw UsageError{"--log is " + flags.log + ", expected json or none"};
  }
  return options;
}

// Whose share of the machine's memory each has.
int64_t RanksHere(const TensorParallel& parallel) {
  return parallel.local_ranks > 0 ? parallel.local_ranks : parallel.ranks;
}

// Room for as many contexts as answers run side by side, as far as the memory limit, or a quarter of the machine, allows; for two at
// least, which the plan counts already.
EngineOptions WithRoom(const ModelToServe& model) {
  EngineOptions options = model.options;
  if (options.kv_tokens != 0) return options;
  const ModelInfo info = Engine::Inspect(model.path, options);
  const int64_t least = 2 * info.context_tokens;
  const int64_t budget = options.memory_limit > 0
                             ? options.memory_limit - (info.planned_bytes - info.kv_bytes)
                             : Engine::MachineMemory() / 4 / RanksHere(options.tensor_parallel);
  const int64_t fits = budget / info.kv_group_bytes * kKvGroupTokens;
  options.kv_tokens = std::max(least, std::min(fits, options.max_sequences * info.context_tokens));
  return options;
}

// A file of tokens is configuration too: its faults, which belong to no option, end as those of options do.
void CheckServer(const ServerOptions& options) {
  try {
    CheckOptions(options);
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument || !error.option().empty()) throw;
    throw UsageError{error.message()};
  }
}

// Option values that a model's entry in the configuration has out of range are told with its place.
template <typename F>
auto InItsEntry(const ModelToServe& model, const F& load) {
  try {
    return load();
  } catch (const Error& error) {
    if (model.place.empty() || error.option().empty()) throw;
    throw UsageError{model.place + AsTyped(error)};
  }
}

void Check(const ServeFlags& flags) {
  CheckServer(OptionsOf(flags));
  flags.Patience();
  CheckPortFile(flags.port_file);
  for (const ModelToServe& model : flags.Models()) {
    const ModelInfo info =
        InItsEntry(model, [&] { return Engine::Check(model.path, WithRoom(model)); });
    std::cout << model.name << ": " << model.path << ", " << info.parameters << " parameters, "
              << (info.planned_bytes >> 20) << " MiB\n";
  }
  std::cout << "ok\n";
  FlushOutput();
}

// Where this process is a rank that has no requests: ports, and signals as servers take them, are rank 0's.
void FollowWhereAsked(const std::vector<ModelToServe>& models) {
  for (const ModelToServe& model : models) {
    if (model.options.tensor_parallel.ranks == 1) continue;
    // Ranks meet at one address, once.
    if (models.size() > 1)
      throw UsageError{"--tensor-parallel is for one model, found " +
                       std::to_string(models.size()) + " to serve"};
    if (model.options.tensor_parallel.rank > 0) LoadEngine(model.path, model.options);
  }
}

std::vector<ServedModel> Load(const ServeFlags& flags) {
  std::vector<ServedModel> models;
  for (const ModelToServe& model : flags.Models()) {
    models.push_back({model.name, InItsEntry(model, [&] {
                        return std::make_shared<Engine>(LoadEngine(model.path, WithRoom(model)));
                      })});
  }
  return models;
}

// Requests under way have their time; a second signal takes it from them. `asked`: whether a first one has come.
void Stop(Server& server, const PortFile& ports, const StopSignal& signal, bool asked,
          std::chrono::milliseconds patience) {
  std::atomic<bool> stopped = false;
  std::thread drain([&] {
    server.Drain(patience);
    stopped = true;
  });
  while (!stopped) {
    constexpr int kInterrupted = 130;
    if (!signal.WaitFor(std::chrono::milliseconds(20)) || !std::exchange(asked, true)) continue;
    ports.Remove();
    std::_Exit(kInterrupted);
  }
  drain.join();
}

// While models are loaded there is nothing to drain: the first signal ends the process.
class EndWhileLoading {
 public:
  EndWhileLoading(const StopSignal& signal, const PortFile& ports)
      : watch_([&](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            if (!signal.WaitFor(std::chrono::milliseconds(50))) continue;
            ports.Remove();
            std::_Exit(0);
          }
        }) {}

 private:
  std::jthread watch_;
};

// Each connection has a file descriptor, and most systems give a process few of those that it may have.
void TakeFileDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void Serve(const ServeFlags& flags) {
  constexpr std::chrono::seconds kLook{1};
  constexpr int kLooksToGiveBack = 5;
  FreedMemory freed;
  QuietGrpc();
  TakeFileDescriptors();
  const ServerOptions options = OptionsOf(flags);
  CheckServer(options);
  const std::chrono::milliseconds patience = flags.Patience();
  FollowWhereAsked(flags.Models());
  const StopSignal signal;
  PortFile ports(flags.port_file);
  auto loading = std::make_unique<EndWhileLoading>(signal, ports);
  std::vector<ServedModel> models = Load(flags);
  loading.reset();
  const std::unique_ptr<Server> server = Server::Start(std::move(models), options);
  ports.Write(*server);
  std::optional<std::string> failure;
  bool asked = false;
  for (int look = 1; !failure && !(asked = signal.WaitFor(kLook)); ++look) {
    if (look % kLooksToGiveBack == 0) freed.GiveBack();
    failure = server->Failure();
  }
  Stop(*server, ports, signal, asked, patience);
  // A launcher that has lost one process asks the others to end, and may be faster than we look.
  if (!failure) failure = server->Failure();
  // So that whoever started this process starts it, and the others with it, anew.
  if (failure) throw Error(Code::kUnavailable, *failure);
}

}  // namespace

void AddServe(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "Serve models over gRPC and HTTP");
  const auto flags = std::make_shared<ServeFlags>();
  flags->Add(*command);
  command->callback([flags, command] {
    flags->ReadConfig(*command);
    try {
      return flags->check ? Check(*flags) : Serve(*flags);
    } catch (const UsageError& error) {
      throw UsageError{flags->WithPlace(error.message)};
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument || error.option().empty()) throw;
      throw UsageError{flags->WithPlace(AsTyped(error))};
    }
  });
}

}  // namespace binocle::cli
