// binocle ask: one question, or a file of them.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <set>

#include "cli/answer_output.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/load_engine.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/requests_file.h"

namespace binocle::cli {
namespace {

struct AskFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::vector<std::string> images;
  std::string prompt;
  std::string requests;
  bool json = false;
  bool timings = false;
};

void AskOne(const AskFlags& flags) {
  Request request = flags.generation.Defaults();
  if (request.generation.logprobs != 0 && !flags.json) {
    throw UsageError{
        "--logprobs goes with --json or --requests: it is reported in the JSON object"};
  }
  if (request.grounding && !flags.json)
    throw UsageError{
        "--grounding goes with --json or --requests: it is reported in the JSON object"};
  Message message{.role = MessageRole::kUser, .text = flags.prompt, .images = {}};
  for (const std::string& image : flags.images)
    message.images.push_back(flags.generation.Picture(image));
  request.messages.push_back(std::move(message));

  const EngineOptions options = flags.model.Options();
  Engine engine = LoadEngine(flags.model.Path(), options);
  const Response response = engine.Generate(request, flags.json ? Observer{} : StreamedToStdout());
  if (flags.json) {
    std::cout << Line(ResponseJson(response, nullptr, engine.info())) << '\n';
  } else {
    PrintOtherAnswers(response);
  }
  FlushOutput();
  if (flags.timings) PrintTimings(response);
}

// One object a line, in order, each printed before the next line is read; a request that fails becomes an error object and the run goes
// on. At the end it is one error, with the code that all failures share, or FAILED_PRECONDITION when they differ.
void AskFile(const AskFlags& flags) {
  if (!flags.prompt.empty() || !flags.images.empty()) {
    throw UsageError{
        "--requests takes its questions and pictures from the file, found a question or --image "
        "beside it"};
  }
  if (flags.timings)
    throw UsageError{"--timings is for one question: the lines of --requests have timings_ms"};
  const RequestDefaults defaults{.request = flags.generation.Defaults(),
                                 .picture = flags.generation.Picture(""),
                                 .folder = RequestsFolder(flags.requests)};
  RequestsFile file(flags.requests);
  const EngineOptions options = flags.model.Options();
  Engine engine = LoadEngine(flags.model.Path(), options);
  CheckOptions(defaults.request.generation, engine.info().vocabulary);
  Progress progress("asking", file.total());
  std::set<Code> codes;
  int64_t asked = 0;
  int64_t failed = 0;
  while (const auto line = file.Next()) {
    ++asked;
    Json id = line->id;
    try {
      const Request request = ParseRequestLine(*line, defaults, id);
      std::cout << Line(ResponseJson(engine.Generate(request), id, engine.info())) << '\n';
    } catch (const Error& error) {
      ++failed;
      codes.insert(error.code());
      std::cout << Line(ErrorJson(error, id)) << '\n';
    }
    FlushOutput();
    progress.Advance();
  }
  progress.Finish();
  if (failed > 0) {
    throw Error(codes.size() == 1 ? *codes.begin() : Code::kFailedPrecondition,
                RequestsName(flags.requests) + ": " + std::to_string(failed) + " of " +
                    std::to_string(asked) + " requests failed; their lines carry the error");
  }
}

}  // namespace

void AddAsk(CLI::App& app) {
  CLI::App* command = app.add_subcommand("ask", "Ask a question about pictures");
  const auto flags = std::make_shared<AskFlags>();
  command->add_option("prompt", flags->prompt, "the question");
  command->add_option("--image", flags->images, "JPEG, PNG or WebP file (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command
      ->add_option("--requests", flags->requests,
                   "JSONL file with one request a line (- for standard input); relative picture\n"
                   "paths begin in its folder or, if nothing is there, in the working directory")
      ->check(NotEmpty("--requests", "a path"));
  command->add_flag("--json", flags->json, "print one JSON object");
  command->add_flag("--timings", flags->timings, "print where the time went, on stderr");
  flags->generation.Add(*command);
  flags->model.Add(*command);
  command->callback([flags] {
    if (!flags->requests.empty()) return AskFile(*flags);
    if (flags->prompt.empty())
      throw UsageError{"the question is missing: binocle ask --image FILE \"question\""};
    AskOne(*flags);
  });
}

}  // namespace binocle::cli
