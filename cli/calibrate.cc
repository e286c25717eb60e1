// binocle calibrate: what interventions need to know of a model, found from a few pictures and kept beside it.
#include "binocle/calibrate.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>

#include "cli/attention_flags.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
#include "cli/load_engine.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/progress.h"

namespace binocle::cli {
namespace {

struct CalibrateFlags {
  ModelFlags model;
  std::vector<std::string> images;
  CalibrationInput input;
  bool no_exif = false;
  std::string out;
  bool overwrite = false;
  bool json = false;
  std::string clip = "0.25,4";  // heads
  CompositeOptions composite;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
  std::string Out(const std::string& name) const {
    return out.empty() ? model.Path() + "/" + name : out;
  }
};

// "0.25,4"
std::array<double, 2> ParseClip(const std::string& text) {
  std::array<double, 2> clip{};
  const size_t comma = text.find(',');
  const auto read = [&](size_t begin, size_t end, double& out) {
    const auto [after, error] = std::from_chars(text.data() + begin, text.data() + end, out);
    return error == std::errc() && after == text.data() + end;
  };
  if (comma == std::string::npos || !read(0, comma, clip[0]) ||
      !read(comma + 1, text.size(), clip[1]) || !(clip[0] >= 0 && clip[0] <= clip[1]) ||
      clip[1] > 100)
    throw UsageError{"--clip is " + text + ", expected LOW,HIGH with 0 <= LOW <= HIGH <= 100"};
  return clip;
}

// Runs `calibrate` on the loaded model with all pictures.
template <typename Calibrate>
auto RunOn(const CalibrateFlags& flags, const EngineOptions& options, const Calibrate& calibrate) {
  CalibrationInput input = flags.input;
  CheckOptions({.max_new_tokens = input.max_new_tokens});
  if (flags.images.empty()) throw UsageError{"--image is missing, expected at least one picture"};
  for (const std::string& path : flags.images) {
    input.images.push_back(ImageInput::FromFile(path));
    input.images.back().exif = !flags.no_exif;
  }
  Engine engine = LoadEngine(flags.model.Path(), options);
  for (const ImageInput& image : input.images) engine.CheckImage(image);
  return calibrate(engine, input);
}

// The same, with a line of progress by pictures.
template <typename Calibrate>
auto Run(const CalibrateFlags& flags, const Calibrate& calibrate) {
  return RunOn(flags, flags.model.Options(), [&](Engine& engine, CalibrationInput input) {
    Progress progress("calibrating", std::ssize(input.images));
    input.on_picture = [&](int64_t) { progress.Advance(); };
    return calibrate(engine, input);
  });
}

void Print(const CalibrateFlags& flags, const std::string& json, const std::string& path) {
  if (!flags.json) return;
  Json object = Json::parse(json);
  object["path"] = path;
  std::cout << Line(object) << '\n';
}

void PrintDimensions(const SinkCalibration& found) {
  std::printf("%8s %10s %10s %14s %10s\n", "dim", "strength", "tokens %", "first token", "layers");
  for (const SinkDimension& s : found.strongest) {
    const bool chosen = std::find(found.dims.begin(), found.dims.end(), s.dim) != found.dims.end();
    const std::string layers =
        s.last_layer < 0 ? "-" : std::to_string(s.first_layer) + "-" + std::to_string(s.last_layer);
    std::printf("%8lld %10.2f %10.2f %14s %10s%s\n", static_cast<long long>(s.dim), s.strength,
                100 * s.tokens, s.first_token ? "massive" : "-", layers.c_str(),
                chosen ? "  <- sinks" : "");
  }
}

void RunSinks(const CalibrateFlags& flags) {
  const std::string path = flags.Out("sink_dims.json");
  CheckNewFile(path, flags.may_overwrite());
  const SinkCalibration found = Run(flags, CalibrateSinks);
  if (found.dims.empty())
    throw Error(Code::kFailedPrecondition, flags.model.Path() + ": " + found.WhyNone());
  WriteNewFile(path, found.Json(), flags.may_overwrite());
  Print(flags, found.Json(), path);
  if (!flags.json) {
    PrintDimensions(found);
    std::printf("tau %g recommended (threshold %.2f, at most %.2f)\n%s\n", found.tau,
                found.threshold, std::sqrt(static_cast<double>(found.width)), path.c_str());
  }
  FlushOutput();
}

void RunHeads(const CalibrateFlags& flags) {
  const std::array<double, 2> clip = ParseClip(flags.clip);
  const std::string path = flags.Out("head_sensitivity.json");
  CheckNewFile(path, flags.may_overwrite());
  const HeadCalibration found = Run(flags, [&](Engine& engine, const CalibrationInput& input) {
    return CalibrateHeads(engine, input, clip);
  });
  WriteNewFile(path, found.Json(), flags.may_overwrite());
  Print(flags, found.Json(), path);
  if (!flags.json) {
    for (int64_t l = 0; l < found.layers; ++l) {
      std::printf("layer %3lld", static_cast<long long>(l));
      for (int64_t h = 0; h < found.heads; ++h)
        std::printf(" %5.2f", found.factors[static_cast<size_t>(l * found.heads + h)]);
      std::printf("\n");
    }
    std::printf("%s\n", path.c_str());
  }
  FlushOutput();
}

// In the order in which layers were added; what is proposed comes first.
void PrintMovements(const CompositeCalibration& found) {
  std::printf("%6s %12s %8s | %12s %8s %8s\n", "layer", "nats alone", "changed", "together",
              "changed", "saved %");
  for (size_t i = 0; i < found.together.size(); ++i) {
    const CompositeMovement& joint = found.together[i];
    const auto alone = std::find_if(found.alone.begin(), found.alone.end(),
                                    [&](const auto& m) { return m.layer == joint.layer; });
    std::printf("%6lld %12.4g %8lld | %12.4g %8lld %8.1f%s\n", static_cast<long long>(joint.layer),
                alone->movement, static_cast<long long>(alone->changed_tokens), joint.movement,
                static_cast<long long>(joint.changed_tokens), 100 * joint.saved,
                static_cast<int64_t>(i) < found.proposed ? "  <- composite" : "");
  }
}

void PrintProposal(const CompositeCalibration& found, const std::string& aligner) {
  if (found.proposed == 0) {
    std::printf("no layer moves the answers by less than %g nats a token\n", found.budget);
    return;
  }
  std::printf(
      "--composite-layers %s --aligner %s: %.4g nats a token of at most %g, %lld of %lld tokens "
      "change, %.1f %% of the pictures' arithmetic saved\n",
      found.layers.Text().c_str(), aligner.c_str(), found.movement, found.budget,
      static_cast<long long>(found.changed_tokens), static_cast<long long>(found.tokens),
      100 * found.saved);
}

// --aligner is of the layers that become composite, not of a model that may have none yet.
void RunComposite(const CalibrateFlags& flags) {
  CompositeOptions options = flags.composite;
  EngineOptions load = flags.model.Options();
  if (!(options.budget >= 0 && options.budget <= 100)) {
    std::ostringstream text;
    text << "--budget is " << options.budget << ", expected 0 to 100";
    throw UsageError{text.str()};
  }
  options.aligner = AttentionFlags{"", "", load.aligner}.Get().aligner;
  load.aligner.clear();
  const std::string path = flags.Out("composite_layers.json");
  CheckNewFile(path, flags.may_overwrite());
  std::optional<Progress> progress;
  options.on_set = [&](int64_t, int64_t total) {
    if (!progress) progress.emplace("calibrating", total);
    progress->Advance();
  };
  const CompositeCalibration found =
      RunOn(flags, load, [&](Engine& engine, const CalibrationInput& input) {
        return CalibrateComposite(engine, input, options);
      });
  if (progress) progress->Finish();
  WriteNewFile(path, found.Json(), flags.may_overwrite());
  Print(flags, found.Json(), path);
  if (!flags.json) {
    PrintMovements(found);
    PrintProposal(found, Json::parse(found.Json())["aligner"].get<std::string>());
    std::printf("%s\n", path.c_str());
  }
  FlushOutput();
}

void AddCommon(CLI::App& command, CalibrateFlags& flags, const std::string& file) {
  command.add_option("--image", flags.images, "JPEG, PNG or WebP file (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command.add_option("--prompt", flags.input.prompt, "what is asked about each picture")
      ->capture_default_str();
  command
      .add_option("--max-new-tokens", flags.input.max_new_tokens, "longest answer to each picture")
      ->check(IsInteger("--max-new-tokens"))
      ->capture_default_str();
  command.add_flag("--no-exif", flags.no_exif,
                   "leave pictures as stored, whatever their EXIF orientation");
  command
      .add_option("--out", flags.out, "the file to write (default: " + file + " beside the model)")
      ->check(NotEmpty("--out", "a path"));
  command.add_flag("--overwrite", flags.overwrite, "replace the file");
  command.add_flag("--json", flags.json, "print what is written as one JSON object");
  flags.model.Add(command);
}

}  // namespace

void AddCalibrate(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "calibrate",
      "Find out what interventions need to know of a model, and which layers may be composite");
  command->require_subcommand(0, 1);
  command->callback([command] {
    if (command->get_subcommands().empty())
      throw UsageError{"what to calibrate is missing, expected sinks, heads or composite"};
  });
  CLI::App* sinks = command->add_subcommand(
      "sinks", "The dimensions by which attention sinks are known, for --var");
  const auto sink_flags = std::make_shared<CalibrateFlags>();
  AddCommon(*sinks, *sink_flags, "sink_dims.json");
  sinks->callback([sink_flags] { RunSinks(*sink_flags); });

  CLI::App* heads = command->add_subcommand(
      "heads", "How sensitive each head is to pictures, for --modulate heads=calibrated");
  const auto head_flags = std::make_shared<CalibrateFlags>();
  AddCommon(*heads, *head_flags, "head_sensitivity.json");
  heads->add_option("--clip", head_flags->clip, "LOW,HIGH: factors are kept within")
      ->check(NotEmpty("--clip", "LOW,HIGH"))
      ->capture_default_str();
  heads->callback([head_flags] { RunHeads(*head_flags); });

  CLI::App* composite = command->add_subcommand(
      "composite", "Which layers may have composite attention, for --composite-layers");
  const auto composite_flags = std::make_shared<CalibrateFlags>();
  AddCommon(*composite, *composite_flags, "composite_layers.json");
  composite
      ->add_option("--budget", composite_flags->composite.budget,
                   "how far the next-token distribution may move: KL divergence in nats, mean over "
                   "the answers' tokens")
      ->check(IsReal("--budget"))
      ->capture_default_str();
  composite->callback([composite_flags] { RunComposite(*composite_flags); });
}

}  // namespace binocle::cli
