// binocle explain: what an answer looked at, as pictures, tables and JSON.
#include "binocle/explain.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/explain_flags.h"
#include "cli/explain_folder.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/load_engine.h"
#include "cli/progress.h"

namespace binocle::cli {
namespace {

void Run(const ExplainFlags& flags, const ModelFlags& model) {
  flags.Check("binocle explain");
  const Request request = flags.MakeRequest();
  ExplainOptions options = flags.MakeOptions();
  CheckOptions(options);

  const ExplanationFolder folder(flags);
  const EngineOptions engine_options = model.Options();
  Engine engine = LoadEngine(model.Path(), engine_options);
  std::unique_ptr<Progress> progress;
  int64_t reported = 0;
  if (options.faithfulness) {
    options.faithfulness->on_run = [&](int64_t done, int64_t total) {
      if (!progress) progress = std::make_unique<Progress>("covering", total);
      for (; reported < done; ++reported) progress->Advance();
    };
  }
  const InterruptFlag interrupt;
  const Explanation e = engine.Explain(
      request, options, {.on_delta = {}, .keep_going = [] { return !InterruptFlag::raised(); }});
  progress.reset();
  if (InterruptFlag::raised())
    throw Error(Code::kCancelled, "explain: interrupted, nothing is written");
  folder.Write(e, ResponseJson(e.response, nullptr, engine.info()));
}

}  // namespace

void AddExplain(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("explain", "Answer a question and show what the answer looked at");
  const auto flags = std::make_shared<ExplainFlags>();
  const auto model = std::make_shared<ModelFlags>();
  flags->Add(*command);
  model->Add(*command);
  command->callback([flags, model] { Run(*flags, *model); });
}

}  // namespace binocle::cli
