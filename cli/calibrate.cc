// binocle calibrate: what interventions need to know of a model, found from a few pictures and kept beside it.
#include "binocle/calibrate.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/json_output.h"
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

// Runs `calibrate` on the loaded model with all pictures, and a progress line.
template <typename Calibrate>
auto Run(const CalibrateFlags& flags, const Calibrate& calibrate) {
  CalibrationInput input = flags.input;
  CheckOptions({.max_new_tokens = input.max_new_tokens});
  if (flags.images.empty()) throw UsageError{"--image is missing, expected at least one picture"};
  for (const std::string& path : flags.images) {
    input.images.push_back(ImageInput::FromFile(path));
    input.images.back().exif = !flags.no_exif;
  }
  Engine engine = Engine::Load(flags.model.Path(), flags.model.Options());
  for (const ImageInput& image : input.images) engine.CheckImage(image);
  Progress progress("calibrating", std::ssize(input.images));
  input.on_picture = [&](int64_t) { progress.Advance(); };
  return calibrate(engine, input);
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

void Sinks(const CalibrateFlags& flags) {
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

void Heads(const CalibrateFlags& flags) {
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
  CLI::App* command =
      app.add_subcommand("calibrate", "Find out what interventions need to know of a model");
  command->require_subcommand(0, 1);
  command->callback([command] {
    if (command->get_subcommands().empty())
      throw UsageError{"what to calibrate is missing, expected sinks or heads"};
  });
  CLI::App* sinks = command->add_subcommand(
      "sinks", "The dimensions by which attention sinks are known, for --var");
  const auto sink_flags = std::make_shared<CalibrateFlags>();
  AddCommon(*sinks, *sink_flags, "sink_dims.json");
  sinks->callback([sink_flags] { Sinks(*sink_flags); });

  CLI::App* heads = command->add_subcommand(
      "heads", "How sensitive each head is to pictures, for --modulate heads=calibrated");
  const auto head_flags = std::make_shared<CalibrateFlags>();
  AddCommon(*heads, *head_flags, "head_sensitivity.json");
  heads->add_option("--clip", head_flags->clip, "LOW,HIGH: factors are kept within")
      ->check(NotEmpty("--clip", "LOW,HIGH"))
      ->capture_default_str();
  heads->callback([head_flags] { Heads(*head_flags); });
}

}  // namespace binocle::cli
