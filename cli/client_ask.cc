// binocle client ask: a question to a server.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/answer_output.h"
#include "cli/attention_flags.h"
#include "cli/client_commands.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct ClientAskFlags {
  ConnectionFlags connection;
  GenerationFlags generation;
  AttentionFlags attention;
  std::vector<std::string> images;
  std::string prompt;
  int64_t priority = 0;
  bool no_stream = false;
  bool json = false;
  bool timings = false;

  Request MakeRequest() const {
    Request request = generation.Defaults();
    request.attention = attention.Get();
    request.priority = priority;
    Message message{.role = MessageRole::kUser, .text = prompt, .images = {}};
    for (const std::string& image : images) message.images.push_back(generation.Picture(image));
    request.messages.push_back(std::move(message));
    return request;
  }
};

// Ends the line that a broken answer leaves.
Response Streamed(Client& client, const Request& request, const CallOptions& call) {
  bool begun = false;
  const Observer print = StreamedToStdout();
  try {
    return client.Generate(request,
                           {.on_delta =
                                [&](const Delta& delta) {
                                  begun = begun || !delta.text.empty();
                                  print.on_delta(delta);
                                },
                            .keep_going = {}},
                           call);
  } catch (...) {
    if (begun) std::cout << std::endl;
    throw;
  }
}

void Run(const ClientAskFlags& flags) {
  if (flags.prompt.empty())
    throw UsageError{"the question is missing: binocle client ask --image FILE \"question\""};
  if (flags.generation.generation.logprobs != 0 && !flags.json)
    throw UsageError{"--logprobs goes with --json: it is reported in the JSON object"};
  if (flags.generation.grounding && !flags.json)
    throw UsageError{"--grounding goes with --json: it is reported in the JSON object"};
  const Request request = flags.MakeRequest();
  Client client = flags.connection.Connect();
  const InterruptFlag interrupt;
  const CallOptions call = flags.connection.Call();
  if (flags.json) {
    const Response response = client.Ask(request, call);
    const Json runtime{{"attention", client.Model(call).attention}};
    std::cout << Line(ResponseJson(response, nullptr, runtime)) << '\n';
    FlushOutput();
    if (flags.timings) PrintTimings(response);
    return;
  }
  const Response response =
      flags.no_stream ? client.Ask(request, call) : Streamed(client, request, call);
  if (flags.no_stream) std::cout << response.answers[0].text;
  PrintOtherAnswers(response);
  FlushOutput();
  if (flags.timings) PrintTimings(response);
}

}  // namespace

void AddClientAsk(CLI::App& client) {
  CLI::App* command = client.add_subcommand("ask", "Ask a question; the answer streams");
  const auto flags = std::make_shared<ClientAskFlags>();
  command->add_option("prompt", flags->prompt, "the question");
  command
      ->add_option("--image", flags->images,
                   "JPEG, PNG or WebP file, upload:ID, or a file: URI of the server (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command->add_flag("--no-stream", flags->no_stream, "print the answer when it is complete");
  command->add_flag("--json", flags->json, "print one JSON object");
  command->add_flag("--timings", flags->timings, "print where the time went, on stderr");
  command
      ->add_option("--priority", flags->priority,
                   "requests with more are served first, -100 to 100")
      ->check(IsInteger("--priority"))
      ->capture_default_str()
      ->group("Generation");
  flags->generation.Add(*command);
  flags->attention.Add(*command);
  flags->connection.Add(*command);
  command->callback([flags] { Run(*flags); });
}

}  // namespace binocle::cli
