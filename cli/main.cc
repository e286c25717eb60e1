// The `binocle` program: subcommands over the public C++ API.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <new>

#include "binocle/error.h"
#include "binocle/version.h"
#include "cli/commands.h"

namespace {

// Exit statuses: 0 fine, 1 an error that was reported, 2 a command line that makes no sense.
constexpr int kExitError = 1;
constexpr int kExitUsage = 2;

int Report(const binocle::Error& error, int status) {
  std::cout.flush();
  std::cerr << error.what() << std::endl;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Asks vision-language models about pictures.", "binocle");
  app.set_version_flag("--version", std::string("binocle ") + binocle::Version());
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  binocle::cli::AddAsk(app);
  binocle::cli::AddChat(app);
  binocle::cli::AddInspect(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help and --version
    return Report(binocle::Error(binocle::Code::kInvalidArgument,
                                 std::string(error.what()) + " (see binocle --help)"),
                  kExitUsage);
  } catch (const binocle::cli::ExitWith& exit) {
    return exit.status;
  } catch (const binocle::Error& error) {
    return Report(error, kExitError);
  } catch (const std::bad_alloc&) {
    return Report(binocle::Error(binocle::Code::kResourceExhausted, "out of memory"), kExitError);
  } catch (const std::exception& error) {
    return Report(binocle::Error(binocle::Code::kInternal, error.what()), kExitError);
  }
  return 0;
}
