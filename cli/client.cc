// binocle client: questions to a server.
#include "binocle/client.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/client_commands.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/explain_flags.h"
#include "cli/explain_folder.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/json_output.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

struct EmbedFlags {
  ConnectionFlags connection;
  std::vector<std::string> images, texts;
  std::string pooling = "mean";
  bool normalize = false;
  bool no_exif = false;

  EmbeddingOptions Options() const {
    EmbeddingOptions options{.normalize = normalize};
    if (pooling == "class") {
      options.pooling = Pooling::kClassToken;
    } else if (pooling == "pooled") {
      options.pooling = Pooling::kPooled;
    } else if (pooling == "tokens") {
      options.pooling = Pooling::kTokens;
    } else if (pooling != "mean") {
      throw UsageError{"--pooling is " + pooling + ", expected mean, class, pooled or tokens"};
    }
    return options;
  }
};

void PrintVectors(const char* what, const std::string& of, const Embedding& e) {
  Json rows = Json::array();
  for (int64_t row = 0; row < e.rows; ++row) {
    const auto begin = e.values.begin() + row * e.width;
    rows.push_back(std::vector<float>(begin, begin + e.width));
  }
  std::cout << Line({{what, of}, {"rows", e.rows}, {"width", e.width}, {"vectors", rows}}) << '\n';
  FlushOutput();
}

void Embed(const EmbedFlags& flags) {
  if (flags.images.empty() && flags.texts.empty())
    throw UsageError{"--image or --text is missing, expected at least one of them"};
  const EmbeddingOptions options = flags.Options();
  Client client = flags.connection.Connect();
  const InterruptFlag interrupt;
  const CallOptions call = flags.connection.Call();
  for (const std::string& image : flags.images) {
    ImageInput picture = ImageInput::FromFile(image);
    picture.exif = !flags.no_exif;
    PrintVectors("image", image, client.EmbedImage(picture, options, call));
  }
  for (const std::string& text : flags.texts)
    PrintVectors("text", text, client.EmbedText(text, options, call));
}

void AddEmbed(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("embed", "Vectors of pictures and texts, one JSON object a line");
  const auto flags = std::make_shared<EmbedFlags>();
  command->add_option("--image", flags->images, "picture, as of ask (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command->add_option("--text", flags->texts, "text (repeatable)")
      ->check(NotEmpty("--text", "a text"))
      ->allow_extra_args(false);
  command
      ->add_option("--pooling", flags->pooling,
                   "mean; class: the leading tower's class token; pooled: what the model pools;\n"
                   "tokens: a row per token")
      ->check(NotEmpty("--pooling", "mean, class, pooled or tokens"))
      ->capture_default_str();
  command->add_flag("--normalize", flags->normalize, "scale rows to length 1");
  command->add_flag("--no-exif", flags->no_exif,
                    "leave pictures as stored, whatever their EXIF orientation");
  flags->connection.Add(*command);
  command->callback([flags] { Embed(*flags); });
}

void Explain(const ExplainFlags& flags, const ConnectionFlags& connection) {
  flags.Check("binocle client explain");
  const Request request = flags.MakeRequest();
  const ExplainOptions options = flags.MakeOptions();
  Client client = connection.Connect();
  const ExplanationFolder folder(flags);
  const InterruptFlag interrupt;
  const CallOptions call = connection.Call();
  const Explanation e = client.Explain(request, options, call);
  const Json runtime{{"attention", client.Model(call).attention}};
  folder.Write(e, ResponseJson(e.response, nullptr, runtime));
}

void AddClientExplain(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("explain", "Ask a question and show what the answer looked at");
  const auto flags = std::make_shared<ExplainFlags>();
  const auto connection = std::make_shared<ConnectionFlags>();
  flags->Add(*command);
  connection->Add(*command);
  command->callback([flags, connection] { Explain(*flags, *connection); });
}

void AddUpload(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("upload", "Send pictures once; prints their ids, for --image upload:ID");
  const auto files = std::make_shared<std::vector<std::string>>();
  const auto connection = std::make_shared<ConnectionFlags>();
  command->add_option("files", *files, "JPEG, PNG or WebP files");
  connection->Add(*command);
  command->callback([files, connection] {
    if (files->empty()) throw UsageError{"a picture is missing: binocle client upload FILE"};
    Client client = connection->Connect();
    const InterruptFlag interrupt;
    for (const std::string& file : *files) {
      std::cout << client.Upload(ImageInput::FromFile(file), connection->Call()).id << '\n';
      FlushOutput();
    }
  });
}

void AddHealth(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("health", "Whether the server, or one of its services, takes requests");
  const auto service = std::make_shared<std::string>();
  const auto connection = std::make_shared<ConnectionFlags>();
  connection->options.retry.attempts = 1;  // how it is now
  command->add_option(
      "service", *service,
      "its full name, such as binocle.v1.VisionLanguageService (default: the server)");
  connection->Add(*command);
  command->callback([service, connection] {
    Client client = connection->Connect();
    const InterruptFlag interrupt;
    const HealthStatus status = client.Health(*service, connection->Call());
    if (status != HealthStatus::kServing) {
      throw Error(Code::kUnavailable,
                  connection->options.target + ": is " + std::string(HealthStatusName(status)));
    }
    std::cout << HealthStatusName(status) << '\n';
    FlushOutput();
  });
}

void PrintModels(const std::vector<ModelSummary>& models, bool json) {
  if (json) {
    Json list = Json::array();
    for (const ModelSummary& m : models) {
      list.push_back({{"name", m.name},
                      {"family", m.family},
                      {"parameters", m.parameters},
                      {"context_tokens", m.context_tokens},
                      {"image_tokens", m.image_tokens}});
    }
    std::cout << Line(list) << '\n';
  } else {
    std::printf("%-32s %-12s %14s %9s %8s\n", "name", "family", "parameters", "context", "picture");
    for (const ModelSummary& m : models) {
      std::printf("%-32s %-12s %14lld %9lld %8lld\n", m.name.c_str(), m.family.c_str(),
                  static_cast<long long>(m.parameters), static_cast<long long>(m.context_tokens),
                  static_cast<long long>(m.image_tokens));
    }
  }
  FlushOutput();
}

void AddModels(CLI::App& app) {
  CLI::App* command = app.add_subcommand("models", "What is served, the default model first");
  const auto json = std::make_shared<bool>(false);
  const auto connection = std::make_shared<ConnectionFlags>();
  command->add_flag("--json", *json, "print a JSON list");
  connection->Add(*command);
  command->callback([json, connection] {
    Client client = connection->Connect();
    const InterruptFlag interrupt;
    PrintModels(client.Models(connection->Call()), *json);
  });
}

Json StatusJson(const ServerStatus& s) {
  return {{"version", s.version},
          {"start_time", s.start_time},
          {"in_flight", s.in_flight},
          {"draining", s.draining},
          {"limits",
           {{"max_message_bytes", s.limits.max_message_bytes},
            {"max_images", s.limits.max_images},
            {"max_image_bytes", s.limits.max_image_bytes},
            {"max_request_image_bytes", s.limits.max_request_image_bytes},
            {"max_image_pixels", s.limits.max_image_pixels},
            {"max_messages", s.limits.max_messages},
            {"max_prompt_bytes", s.limits.max_prompt_bytes}}},
          {"images",
           {{"entries", s.images.entries},
            {"bytes", s.images.bytes},
            {"budget_bytes", s.images.budget_bytes},
            {"hits", s.images.hits},
            {"misses", s.images.misses},
            {"evictions", s.images.evictions}}}};
}

// One line for each number, "limits.max_images 64".
void PrintFlat(const Json& json, const std::string& prefix) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      PrintFlat(value, prefix + key + ".");
    } else {
      std::cout << prefix << key << ' '
                << (value.is_string() ? value.get<std::string>() : Line(value)) << '\n';
    }
  }
}

void AddInfo(CLI::App& app) {
  CLI::App* command = app.add_subcommand("info", "The server's version, limits and counters");
  const auto json = std::make_shared<bool>(false);
  const auto connection = std::make_shared<ConnectionFlags>();
  command->add_flag("--json", *json, "print one JSON object");
  connection->Add(*command);
  command->callback([json, connection] {
    Client client = connection->Connect();
    const InterruptFlag interrupt;
    const Json status = StatusJson(client.ServerInfo(connection->Call()));
    if (*json) {
      std::cout << Line(status) << '\n';
    } else {
      PrintFlat(status, "");
    }
    FlushOutput();
  });
}

}  // namespace

void AddClient(CLI::App& app) {
  CLI::App* command = app.add_subcommand("client", "Ask a server that runs binocle serve");
  command->require_subcommand(0, 1);
  command->callback([command] {
    if (command->get_subcommands().empty()) {
      throw UsageError{
          "what the client shall do is missing, expected ask, embed, explain, upload, health, "
          "models, info or load"};
    }
  });
  AddClientAsk(*command);
  AddEmbed(*command);
  AddClientExplain(*command);
  AddUpload(*command);
  AddHealth(*command);
  AddModels(*command);
  AddInfo(*command);
  AddClientLoad(*command);
}

}  // namespace binocle::cli
