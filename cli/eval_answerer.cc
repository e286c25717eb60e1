#include "cli/eval_answerer.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "cli/attention_flags.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json_output.h"
#include "cli/load_engine.h"

namespace binocle::cli {
namespace {

// What tells one model from another.
Json IdentityJson(const ModelInfo& info) {
  return {{"name", info.name},
          {"family", info.family},
          {"parameters", info.parameters},
          {"vocabulary", info.vocabulary},
          {"context_tokens", info.context_tokens},
          {"image_tokens", info.image_tokens},
          {"fusion", info.fusion},
          {"attention", info.attention},
          {"composite_layers", info.composite_layers},
          {"aligner", info.aligner},
          {"conversation", info.conversation}};
}

// How each part's matrices are kept, which --compute alone does not say.
Json ComputeJson(const ModelInfo& info) {
  Json computes = Json::object();
  for (const PartInfo& part : info.parts) {
    for (const auto& [key, value] : part.properties) {
      if (key == "compute") computes[part.name] = value;
    }
  }
  return computes;
}

Answerer FromEngine(const ModelFlags& flags, int64_t concurrency) {
  EngineOptions options = flags.Options();
  options.max_queued_requests = std::max(options.max_queued_requests, concurrency);
  const std::string path = flags.Path();
  // Owned together with the answerer's copies, which are functions.
  const auto engine = std::make_shared<Engine>(LoadEngine(path, options));
  Json identity = IdentityJson(engine->info());
  identity["digest"] = EvalModelDigest(path);
  if (!options.projector.empty()) identity["projector"] = EvalModelDigest(options.projector);
  const Json where = {{"device", engine->info().device},
                      {"compute", engine->info().compute},
                      {"compute_parts", ComputeJson(engine->info())},
                      {"max_images", options.max_images},
                      {"max_image_bytes", options.max_image_bytes},
                      {"max_image_pixels", options.max_image_pixels}};
  return {.ask =
              [engine](const Request& request) {
                return engine->Generate(request, {.on_delta = {}, .keep_going = [] {
                                                    return !InterruptFlag::raised();
                                                  }});
              },
          .model = {.name = engine->info().name,
                    .family = engine->info().family,
                    .identity = identity.dump()},
          .attention = {},
          .where = where.dump()};
}

#ifdef BINOCLE_WITH_SERVERS
Answerer FromServer(const ModelFlags& model, ConnectionFlags connection) {
  connection.options.model = model.model;
  const auto client = std::make_shared<Client>(connection.Connect());  // owned as the engine is
  const CallOptions call = connection.Call();
  const ModelInfo info = client->Model(call);
  Json identity = IdentityJson(info);
  identity["server"] = client->ServerInfo(call).version;
  const AttentionFlags attention{model.options.attention, model.options.composite_layers,
                                 model.options.aligner};
  return {.ask = [client, call](const Request& request) { return client->Ask(request, call); },
          .model = {.name = info.name, .family = info.family, .identity = identity.dump()},
          .attention = attention.Get(),
          .where = Json{{"compute_parts", ComputeJson(info)}}.dump()};
}
#endif

}  // namespace

void AnswererFlags::Add(CLI::App& command) {
  model.Add(command);
  model.AddBatching(command);
#ifdef BINOCLE_WITH_SERVERS
  connection.AddAsChoice(command);
#endif
}

void AnswererFlags::Check(const CLI::App& command) const {
#ifdef BINOCLE_WITH_SERVERS
  static const std::set<std::string> kBoth = {"--model", "--attention", "--composite-layers",
                                              "--aligner"};
  const bool remote = !connection.options.target.empty();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    const bool local_only = (option->get_group() == "Model" || option->get_group() == "Batching") &&
                            !kBoth.contains(name);
    if (remote && local_only)
      throw UsageError{name + " is an option of the engine here, and --server has one of its own"};
    if (!remote && option->get_group() == "Connection")
      throw UsageError{name + " goes with --server"};
  }
#else
  (void)command;
#endif
}

Answerer AnswererFlags::Get(int64_t concurrency) const {
#ifdef BINOCLE_WITH_SERVERS
  if (!connection.options.target.empty()) return FromServer(model, connection);
#endif
  return FromEngine(model, concurrency);
}

}  // namespace binocle::cli
