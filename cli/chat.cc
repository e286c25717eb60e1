// binocle chat: several turns about pictures.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "cli/load_engine.h"

namespace binocle::cli {
namespace {

constexpr const char* kHelp =
    "/image PATH   show a picture with the next question\n"
    "/system TEXT  set the system text and start anew\n"
    "/new          start anew\n"
    "/quit         leave (also Ctrl-D)\n"
    "Ctrl-C stops an answer.\n";

struct ChatFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::vector<std::string> images;
};

class Chat {
 public:
  Chat(Engine engine, Request defaults, const ChatFlags& flags)
      : engine_(std::move(engine)), request_(std::move(defaults)), flags_(flags) {
    for (const std::string& image : flags_.images) AddImage(image);
  }

  // Returns false to leave.
  bool Take(const std::string& line) {
    if (line.empty()) return true;
    if (line.front() != '/') return Ask(line), true;
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::string argument = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/quit" || name == "/exit") return false;
    if (name == "/image") {
      AddImage(argument);
    } else if (name == "/new") {
      Restart();
    } else if (name == "/system") {
      request_.system = argument;
      Restart();
    } else if (name == "/help") {
      std::cerr << kHelp;
    } else {
      throw Error(Code::kInvalidArgument,
                  name + " is not a command, expected /image PATH, /system TEXT, /new or /quit");
    }
    return true;
  }

 private:
  void Restart() {
    request_.messages.clear();
    waiting_.clear();
  }

  // The picture is looked at now, so that a wrong path is reported before a question is typed.
  void AddImage(const std::string& path) {
    if (path.empty())
      throw Error(Code::kInvalidArgument, "/image: the path is missing, as in /image scene.png");
    ImageInput image = flags_.generation.Picture(path);
    engine_.CheckImage(image);
    waiting_.push_back(std::move(image));
    std::cerr << path << ": " << engine_.info().image_tokens << " visual tokens\n";
  }

  void Ask(const std::string& text) {
    request_.messages.push_back({.role = MessageRole::kUser, .text = text, .images = waiting_});
    InterruptFlag::Clear();
    const Observer observer{
        .on_delta = [](const Delta& delta) { std::cout << delta.text << std::flush; },
        .keep_going = [] { return !InterruptFlag::raised(); }};
    try {
      Response response = engine_.Generate(request_, observer);
      std::cout << std::endl;
      waiting_.clear();
      request_.messages.push_back(
          {.role = MessageRole::kAssistant, .text = response.answers.at(0).text, .images = {}});
    } catch (...) {
      request_.messages.pop_back();  // the dialogue stays as it was
      throw;
    }
  }

  Engine engine_;
  Request request_;
  const ChatFlags& flags_;
  std::vector<ImageInput> waiting_;  // pictures for the next question
};

void Run(const ChatFlags& flags) {
  Request defaults = flags.generation.Defaults();
  if (defaults.prompt_format == PromptFormat::kRaw)
    throw UsageError{
        "--prompt-format raw goes with ask: chat renders turns with the model's template"};
  if (defaults.generation.n != 1)
    throw UsageError{"--n goes with ask: chat gives one answer a turn"};
  if (defaults.generation.logprobs != 0)
    throw UsageError{"--logprobs goes with ask --json: chat prints text only"};
  Chat chat(LoadEngine(flags.model.Path(), flags.model.Options()), std::move(defaults), flags);
  const InterruptFlag interrupt;
  LineEditor editor;
  std::cerr << "Type a question, /image PATH, or /help.\n";
  while (const auto line = editor.Read("> ")) {
    try {
      if (!chat.Take(*line)) return;
    } catch (const Error& error) {
      std::cerr << error.what() << std::endl;
    }
  }
}

}  // namespace

void AddChat(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "Talk about pictures, in several turns");
  const auto flags = std::make_shared<ChatFlags>();
  command->add_option("--image", flags->images, "picture to begin with (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  flags->generation.Add(*command);
  flags->model.Add(*command);
  command->callback([flags] { Run(*flags); });
}

}  // namespace binocle::cli
