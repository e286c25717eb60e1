// binocle eval score, scorers: answers that are there already, without a model.
#include "binocle/eval.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "binocle/error.h"
#include "cli/commands.h"
#include "cli/eval_commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/line_file.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/small_file.h"

namespace binocle::cli {
namespace {

// Of the lines that were skipped, how many the summary and the messages tell.
constexpr size_t kMostSkippedTold = 20;

struct ScoreFlags {
  std::string scorer;
  std::string file;
  std::string objects;
  std::string out;
  bool overwrite = false;
  bool skip_bad = false;
  bool json = false;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
};

// Lines that could not be scored.
class Skipped {
 public:
  void Add(int64_t line, const Error& error) {
    if (count_ == 0) first_ = error;
    if (count_ < kMostSkippedTold) told_.push_back({{"line", line}, {"message", error.message()}});
    ++count_;
  }
  size_t count() const { return count_; }
  const std::optional<Error>& first() const { return first_; }

  void Write(Json& summary) const {
    summary["skipped"] = count_;
    if (count_ > 0) summary["skipped_lines"] = told_;
  }
  void Report(const std::string& file) const {
    for (const Json& line : told_)
      std::cerr << file << ": line " << line["line"]
                << " skipped: " << line["message"].get<std::string>() << '\n';
    if (count_ > told_.size())
      std::cerr << file << ": " << count_ - told_.size() << " more lines skipped\n";
    std::cerr.flush();
  }

 private:
  size_t count_ = 0;
  std::optional<Error> first_;
  Json told_ = Json::array();
};

// Scored lines on their way to standard output, or kept for a file that is written whole or not at all.
class Sink {
 public:
  explicit Sink(const ScoreFlags& flags) : flags_(flags) {
    if (!flags.out.empty()) CheckNewFile(flags.out, flags.may_overwrite());
  }
  void Take(const std::string& line) {
    if (flags_.out.empty()) {
      std::cout << line << '\n';
      if (!std::cout) FlushOutput();  // throws: nobody reads on
    } else {
      kept_ += line + '\n';
    }
  }
  void Finish() {
    if (!flags_.out.empty()) WriteNewFile(flags_.out, kept_, flags_.may_overwrite());
  }

 private:
  const ScoreFlags& flags_;
  std::string kept_;
};

// The last line of what this command wrote, so that its output can be scored again.
bool IsSummary(std::string_view line) { return line.starts_with(R"({"summary":{"scorer":)"); }

void ScoreLines(LineFile& file, const ScoreFlags& flags, Scoring& scoring, Sink& sink,
                Skipped& skipped) {
  while (true) {
    try {
      const auto line = file.Next();
      if (!line) return;
      if (IsSummary(line->text)) continue;
      sink.Take(scoring.Score(line->text));
    } catch (const Error& error) {
      if (error.code() == Code::kDataLoss) throw;
      if (!flags.skip_bad)
        throw Error(error.code(), file.name() + ": line " + std::to_string(file.number()) + ": " +
                                      error.message());
      skipped.Add(file.number(), error);
    }
  }
}

void PrintMembers(const Json& object, const std::string& indent) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      std::printf("%s%s\n", indent.c_str(), Error(Code::kUnknown, key).message().c_str());
      PrintMembers(value, indent + "  ");
    } else if (value.is_number_float()) {
      std::printf("%s%-24s %.6g\n", indent.c_str(), key.c_str(), value.get<double>());
    } else if (!value.is_array()) {
      const std::string text = value.is_null()     ? "-"
                               : value.is_string() ? value.get<std::string>()
                                                   : value.dump();
      std::printf("%s%-24s %s\n", indent.c_str(), key.c_str(), text.c_str());
    }
  }
}

void Score(const ScoreFlags& flags) {
  const ScoringOptions options{.objects = flags.objects.empty() ? std::string()
                                                                : ReadSmallFile(flags.objects)};
  Scoring scoring(flags.scorer, options);
  LineFile file(flags.file);
  Sink sink(flags);
  Skipped skipped;
  ScoreLines(file, flags, scoring, sink, skipped);
  Json summary;
  try {
    summary = Json::parse(
        scoring.Summary(flags.skip_bad ? IncompleteGroups::kLeftOut : IncompleteGroups::kRefused));
  } catch (const Error& error) {
    throw Error(error.code(), file.name() + ": " + error.message());
  }
  if (summary["summary"]["lines"] == 0) {
    if (skipped.count() == 0)
      throw Error(Code::kInvalidArgument,
                  file.name() + ": holds no answers, expected one JSON object a line");
    throw Error(skipped.first()->code(),
                file.name() + ": none of " + std::to_string(skipped.count()) +
                    " lines could be scored; the first: " + skipped.first()->message());
  }
  skipped.Write(summary["summary"]);
  sink.Take(Line(summary));
  sink.Finish();
  if (!flags.out.empty()) {
    if (flags.json) {
      std::cout << Line(summary) << '\n';
    } else {
      PrintMembers(summary["summary"], "");
    }
  }
  FlushOutput();
  skipped.Report(file.name());
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void List(bool json) {
  Json scorers = Json::array();
  for (const ScorerInfo& info : Scorers()) {
    if (json) {
      scorers.push_back({{"name", info.name},
                         {"about", info.about},
                         {"required", info.required},
                         {"optional", info.optional},
                         {"source", info.source}});
    } else {
      std::printf("%-18s %-38s %s\n", info.name.c_str(), Joined(info.required).c_str(),
                  info.about.c_str());
    }
  }
  if (json) std::cout << Line({{"scorers", scorers}}) << '\n';
  FlushOutput();
}

}  // namespace

void AddEvalScore(CLI::App& eval) {
  CLI::App* command =
      eval.add_subcommand("score", "Score a file of answers, one JSON object a line");
  const auto flags = std::make_shared<ScoreFlags>();
  command->add_option("file", flags->file, "JSONL file, or - for standard input")
      ->check(NotEmpty("the file", "a path"));
  command->add_option("--scorer", flags->scorer, "whose rules: a name of binocle eval scorers")
      ->check(NotEmpty("--scorer", "a name"));
  command->add_option("--out", flags->out, "write the lines there, and print the summary alone")
      ->check(NotEmpty("--out", "a path"));
  command
      ->add_option("--objects", flags->objects,
                   "JSON file of the objects that chair knows (default: COCO's)")
      ->check(NotEmpty("--objects", "a path"));
  command->add_flag("--overwrite", flags->overwrite, "replace the file of --out");
  command->add_flag("--skip-bad", flags->skip_bad,
                    "go on after lines that cannot be scored, and say which");
  command->add_flag("--json", flags->json, "print the summary as JSON, with --out too");
  command->callback([flags] {
    if (flags->scorer.empty())
      throw UsageError{"--scorer is missing, expected a name (binocle eval scorers lists them)"};
    if (flags->file.empty())
      throw UsageError{"the file of answers is missing, expected a path or -"};
    Score(*flags);
  });
}

void AddEvalScorers(CLI::App& eval) {
  CLI::App* command =
      eval.add_subcommand("scorers", "List the scorers and what their lines must hold");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([json] { List(*json); });
}

}  // namespace binocle::cli
