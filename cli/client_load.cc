// binocle client load: many requests at a time, timed and checked.
#include <CLI/CLI.hpp>
#include <atomic>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <system_error>
#include <thread>

#include "cli/client_commands.h"
#include "cli/client_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/load_plan.h"
#include "cli/load_tally.h"
#include "cli/output.h"
#include "cli/small_file.h"

namespace binocle::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct LoadFlags {
  ConnectionFlags connection;
  LoadOptions load;
  std::string prompts_file;
  bool upload = false;
  bool check = false;
  bool json = false;
};

double MillisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <typename Number>
void CheckRange(const char* option, Number value, Number low, Number high) {
  if (value >= low && value <= high) return;
  std::ostringstream message;
  message << option << " is " << value << ", expected " << low << " to " << high;
  throw UsageError{message.str()};
}

LoadOptions Checked(const LoadFlags& flags) {
  LoadOptions o = flags.load;
  CheckRange<int64_t>("--requests", o.requests, 1, 1'000'000'000);
  CheckRange<int64_t>("--concurrency", o.concurrency, 1, 4096);
  CheckRange<int64_t>("--distinct", o.distinct, 1, 100'000);
  CheckRange<int64_t>("--max-new-tokens", o.max_new_tokens, 1, 1 << 20);
  CheckRange("--cancel-share", o.cancel_share, 0.0, 1.0);
  CheckRange("--malformed-share", o.malformed_share, 0.0, 1.0);
  if (flags.prompts_file.empty()) return o;
  std::istringstream lines(ReadSmallFile(flags.prompts_file));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) o.prompts.push_back(line);
  }
  if (o.prompts.empty())
    throw UsageError{"--prompts is " + flags.prompts_file + ", which holds no prompt"};
  return o;
}

// Whether a request that is to be cancelled goes on.
bool GoesOn(const LoadItem& item, const LoadOutcome& outcome, Clock::time_point start) {
  if (item.kind != LoadKind::kCancelled) return true;
  return std::ssize(outcome.delta_times) < item.after_tokens && Clock::now() - start < item.after;
}

LoadOutcome AskOne(Client& client, const LoadPlan& plan, const LoadItem& item,
                   const CallOptions& call) {
  const Request request =
      item.kind == LoadKind::kMalformed ? plan.MakeMalformed(item.index) : plan.Make(item.index);
  LoadOutcome outcome;
  const Clock::time_point start = Clock::now();
  Observer observer;
  observer.on_delta = [&](const Delta& delta) {
    if (!delta.token_ids.empty()) outcome.delta_times.push_back(MillisecondsSince(start));
  };
  if (item.kind == LoadKind::kCancelled)
    observer.keep_going = [&] { return GoesOn(item, outcome, start); };
  try {
    Response response = client.Generate(request, observer, call);
    outcome.answer = std::move(response.answers.at(0));
    outcome.cancelled = outcome.answer.finish_reason == FinishReason::kCancelled;
    if (outcome.cancelled) outcome.code = CodeName(Code::kCancelled);
  } catch (const Error& error) {
    outcome.code = CodeName(error.code());
    outcome.message = error.message();
  }
  outcome.total = MillisecondsSince(start);
  return outcome;
}

// One request after another until there are no more, or Ctrl-C.
class Slots {
 public:
  Slots(const Client& client, const LoadPlan& plan, const CallOptions& call, LoadTally& tally)
      : client_(client), plan_(plan), call_(call), tally_(tally) {}

  void Run(const LoadOptions& options) {
    {
      std::vector<std::jthread> threads;
      const int64_t count = std::min(options.concurrency, options.requests);
      try {
        while (std::ssize(threads) < count)
          threads.emplace_back([&] { WorkToTheEnd(options.requests); });
      } catch (const std::system_error&) {
        Fail(options.requests, std::make_exception_ptr(Error(
                                   Code::kResourceExhausted,
                                   "--concurrency is " + std::to_string(options.concurrency) +
                                       ", threads there are " + std::to_string(threads.size()))));
      }
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void Fail(int64_t requests, std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    next_ = requests;
  }

  void WorkToTheEnd(int64_t requests) {
    try {
      Work(requests);
    } catch (...) {
      Fail(requests, std::current_exception());
    }
  }

  void Work(int64_t requests) {
    Client client = client_;
    for (int64_t i = next_++; i < requests && !InterruptFlag::raised(); i = next_++) {
      const LoadItem item = plan_.Item(i);
      const LoadOutcome outcome = AskOne(client, plan_, item, call_);
      if (!InterruptFlag::raised()) tally_.Add(item, outcome);
    }
  }

  const Client& client_;
  const LoadPlan& plan_;
  const CallOptions& call_;
  LoadTally& tally_;
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

void Report(const LoadFlags& flags, const LoadTally& tally) {
  std::cout << (flags.json ? Line(tally.ToJson()) + "\n" : tally.ToText());
  FlushOutput();
  if (InterruptFlag::raised())
    throw Error(Code::kCancelled, "load: interrupted, the rest was not asked");
  if (tally.wrong() + tally.unexpected() == 0) return;
  throw Error(Code::kFailedPrecondition, "load: " + std::to_string(tally.wrong()) +
                                             " wrong answers, " +
                                             std::to_string(tally.unexpected()) +
                                             " unexpected codes; the first: " + tally.trouble());
}

void Run(const LoadFlags& flags) {
  LoadOptions options = Checked(flags);
  Client client = flags.connection.Connect();
  const InterruptFlag interrupt;
  const CallOptions call = flags.connection.Call();
  client.Model(call);  // says at once that nobody is there, or that there is no such model
  if (flags.upload) {
    for (std::string& image : options.images)
      image = UploadedImage(client.Upload(ImageInput::FromFile(image), call).id).path;
  }
  const LoadPlan plan(options);
  LoadTally tally(options, flags.check ? LoadCheck::kYes : LoadCheck::kNo);
  const Clock::time_point start = Clock::now();
  Slots(client, plan, call, tally).Run(options);
  tally.Finish(MillisecondsSince(start) / 1000);
  Report(flags, tally);
}

void AddOptions(CLI::App& command, LoadFlags& flags) {
  LoadOptions& o = flags.load;
  const auto number = [&](const char* name, auto& value, const char* what) {
    command.add_option(name, value, what)->check(IsInteger(name))->capture_default_str();
  };
  number("--requests", o.requests, "how many in all");
  number("--concurrency", o.concurrency, "how many at a time");
  number("--distinct", o.distinct, "how many different ones, which come again");
  command.add_option("--image", o.images, "picture, as of ask (repeatable): none to two a request")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command.add_flag("--upload", flags.upload, "send pictures once and name them by their ids");
  command.add_option("--prompt", o.prompts, "question (repeatable; default: a few)")
      ->check(NotEmpty("--prompt", "a question"))
      ->allow_extra_args(false);
  command.add_option("--prompts", flags.prompts_file, "file with a question a line")
      ->check(NotEmpty("--prompts", "a path"));
  number("--max-new-tokens", o.max_new_tokens, "longest answer; lengths are drawn from 1 on");
  command
      .add_option("--cancel-share", o.cancel_share, "0 to 1: share cancelled at a random moment")
      ->capture_default_str();
  command
      .add_option("--malformed-share", o.malformed_share,
                  "0 to 1: share that must come back with INVALID_ARGUMENT")
      ->capture_default_str();
  command.add_option("--seed", o.seed, "of everything that is drawn")
      ->check(IsSeed("--seed"))
      ->capture_default_str();
  command.add_flag("--check", flags.check,
                   "compare each answer with the first one to the same request");
  command.add_flag("--json", flags.json, "print one JSON object");
}

}  // namespace

void AddClientLoad(CLI::App& client) {
  CLI::App* command = client.add_subcommand("load", "Many requests at a time, timed and checked");
  const auto flags = std::make_shared<LoadFlags>();
  AddOptions(*command, *flags);
  flags->connection.Add(*command);
  command->callback([flags] { Run(*flags); });
}

}  // namespace binocle::cli
