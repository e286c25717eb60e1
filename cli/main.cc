// The `binocle` program: subcommands over the public C++ API.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "binocle/error.h"
#include "binocle/version.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr const char* kExitStatuses =
    "Exit status: 0 done; 1 failed; 2 the command line, or a file of options, is wrong: a command, "
    "an\n"
    "option or a value.\n"
    "An error is one line on stderr, CODE: message.";

int Report(const Error& error, int status) {
  std::cout.flush();
  std::cerr << error.what() << std::endl;
  return status;
}

// What an option names, and is not there or taken, is not the option.
int ReportOption(const Error& error) {
  const bool named = error.code() == Code::kNotFound || error.code() == Code::kUnavailable;
  return Report(Error(error.code(), AsTyped(error)), named ? kExitError : kExitUsage);
}

// The words of the command line, the last one first, as the library wants them. `--stop=` alone is an empty value; the library would
// take the next word for it.
std::vector<std::string> Words(int argc, char** argv) {
  std::vector<std::string> words;
  bool options = true;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    options = options && word != "--";
    const bool empty_value =
        options && word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1;
    if (empty_value) word.pop_back();
    words.push_back(std::move(word));
    if (empty_value) words.emplace_back();
  }
  std::reverse(words.begin(), words.end());
  return words;
}

std::string Commands(const CLI::App& app) {
  std::string names;
  const std::vector<const CLI::App*> commands = app.get_subcommands({});
  for (const CLI::App* command : commands) {
    if (!names.empty()) names += command == commands.back() ? " or " : ", ";
    names += command->get_name();
  }
  return names;
}

bool IsOption(const std::string& word) { return word.size() > 1 && word.starts_with('-'); }

// What is wrong with words that nothing takes.
std::string Explain(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string program = "binocle";
  const bool before_command = !app.remaining().empty();
  while (!before_command && !command->get_subcommands().empty()) {
    command = command->get_subcommands()[0];
    program += " " + command->get_name();
  }
  const std::string help = " (see " + program + " --help)";
  const std::vector<std::string> words = app.remaining(true);
  if (!command->get_subcommands({}).empty() && !IsOption(words.at(0)))
    return words[0] + " is not a command, expected " + Commands(*command) + help;
  const auto option = std::find_if(words.begin(), words.end(), IsOption);
  if (option != words.end()) return *option + " is not an option of " + program + help;
  return words[0] + " is one argument too many for " + program + help;
}

void Run(int argc, char** argv) {
  CLI::App app("Asks vision-language models about pictures.", "binocle");
  app.set_version_flag("--version", std::string("binocle ") + Version());
  app.require_subcommand(0, 1);  // none is our own error; a second one is a word like any other
  app.get_formatter()->column_width(36);
  app.footer(kExitStatuses);
  AddAsk(app);
  AddBench(app);
  AddCalibrate(app);
  AddChat(app);
  AddQuantize(app);
  AddConvert(app);
  AddEval(app);
  AddExplain(app);
  AddInspect(app);
  AddMakeRandom(app);
  AddParity(app);
#ifdef BINOCLE_WITH_SERVERS
  AddClient(app);
  AddServe(app);
#endif
  try {
    app.parse(Words(argc, argv));
  } catch (const CLI::ExtrasError&) {
    throw UsageError{Explain(app)};
  } catch (const CLI::Success& help) {  // --help and --version
    app.exit(help);
    FlushOutput();
    return;
  }
  if (app.get_subcommands().empty())
    throw UsageError{"a command is missing, expected " + Commands(app) + " (see binocle --help)"};
}

int Status(int argc, char** argv) {
  try {
    Run(argc, argv);
  } catch (const Followed&) {
    return 0;
  } catch (const UsageError& error) {
    return Report(Error(Code::kInvalidArgument, error.message), kExitUsage);
  } catch (const CLI::ParseError& error) {
    return Report(
        Error(Code::kInvalidArgument, std::string(error.what()) + " (see binocle --help)"),
        kExitUsage);
  } catch (const Error& error) {
    return error.option().empty() ? Report(error, kExitError) : ReportOption(error);
  } catch (const std::bad_alloc&) {
    return Report(Error(Code::kResourceExhausted, "out of memory"), kExitError);
  } catch (const std::exception& error) {
    return Report(Error(Code::kInternal, error.what()), kExitError);
  }
  return 0;
}

}  // namespace
}  // namespace binocle::cli

int main(int argc, char** argv) {
  // A file at the limit of its size is a failed write then, and told as such.
  std::signal(SIGXFSZ, SIG_IGN);
  return binocle::cli::Status(argc, argv);
}
