// binocle explain: what an answer looked at, as pictures, tables and JSON.
#include "binocle/explain.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/explain_json.h"
#include "cli/explain_report.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/ranges.h"

namespace binocle::cli {
namespace {

constexpr const char* kReportName = "explanation.json";

struct ExplainFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::vector<std::string> images;
  std::string prompt;
  std::string out, layers, heads;
  ExplainOptions options;
  OverlayOptions overlay;
  FaithfulnessOptions faithfulness;
  bool measure = false;
  bool overwrite = false;
  bool json = false;

  Overwrite may_overwrite() const { return overwrite ? Overwrite::kAllowed : Overwrite::kRefused; }
  std::string Path(const std::string& name) const { return out + "/" + name; }

  Request MakeRequest() const {
    Request request = generation.Defaults();
    Message message{.role = MessageRole::kUser, .text = prompt, .images = {}};
    for (const std::string& image : images) message.images.push_back(generation.Picture(image));
    request.messages.push_back(std::move(message));
    return request;
  }
  ExplainOptions MakeOptions() const {
    ExplainOptions o = options;
    if (!layers.empty() && !ReadLayers(layers, o.layers.emplace()))
      throw UsageError{"--layers is " + layers + ", expected layers such as 2-30"};
    if (!heads.empty() && !ReadIntegers(heads, o.heads))
      throw UsageError{"--heads is " + heads + ", expected integers with + between them"};
    if (!measure &&
        (faithfulness.word_curves || faithfulness.blocks != FaithfulnessOptions{}.blocks ||
         faithfulness.curve_points != FaithfulnessOptions{}.curve_points))
      throw UsageError{"--blocks, --curve-points and --word-curves go with --faithfulness"};
    if (measure) {
      o.faithfulness = faithfulness;
      o.faithfulness->seed = generation.generation.seed;
    }
    return o;
  }
};

// "03_doughnut": letters and digits of ASCII, so that every file system and shell takes it.
std::string FileStem(size_t index, const std::string& word) {
  std::string stem(index < 10 ? "0" : "");
  stem.append(std::to_string(index)).append("_");
  const size_t prefix = stem.size();
  for (const char c : word.substr(0, 40)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) stem += c;
  }
  return stem.size() == prefix ? stem + "word" : stem;
}

// One file per picture; none for a map that is empty.
std::vector<std::string> WriteOverlays(const ExplainFlags& flags, const Explanation& e,
                                       const AttentionMap& map, const std::string& stem) {
  std::vector<std::string> names;
  for (size_t i = 0; i < map.patches.size(); ++i) {
    std::string name = stem;
    if (map.patches.size() > 1) name.append("_picture").append(std::to_string(i));
    names.push_back(name.append(".png"));
    WriteNewFile(flags.Path(names.back()),
                 RenderOverlay(e, map, static_cast<int64_t>(i), flags.overlay),
                 flags.may_overwrite());
  }
  return names;
}

// The pictures of an earlier explanation in this folder, which its report names.
std::vector<std::string> EarlierOverlays(const ExplainFlags& flags) {
  std::vector<std::string> names;
  std::ifstream file(flags.Path(kReportName));
  const Json report = Json::parse(file, nullptr, false);
  try {
    const Json& e = report.at("explanation");
    std::vector<Json> maps = {e.at("map")};
    for (const Json& word : e.at("words")) maps.push_back(word.at("map"));
    for (const Json& map : maps) {
      for (const Json& name : map.at("overlays")) {
        names.push_back(name.get<std::string>());
        if (!names.back().ends_with(".png") || names.back().find('/') != std::string::npos)
          return {};
      }
    }
  } catch (const Json::exception&) {
    return {};  // not a report of ours: what it stands for stays
  }
  return names;
}

// Refuses a folder that holds an explanation, or pictures that could have the names of ours. The work is long.
void CheckFolder(const ExplainFlags& flags) {
  CheckNewFile(flags.Path(kReportName), flags.may_overwrite());
  if (flags.overwrite) return;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(flags.out, failure)) {
    if (entry.path().extension() == ".png")
      throw Error(Code::kAlreadyExists, entry.path().string() +
                                            ": is there already, expected a folder without "
                                            "pictures (--overwrite replaces those of its names)");
  }
}

void Run(const ExplainFlags& flags) {
  if (flags.prompt.empty())
    throw UsageError{
        "the question is missing: binocle explain --image FILE --out DIR \"question\""};
  if (flags.out.empty()) throw UsageError{"--out is missing, expected a folder to write to"};
  if (flags.images.empty()) throw UsageError{"--image is missing, expected at least one picture"};
  const Request request = flags.MakeRequest();
  ExplainOptions options = flags.MakeOptions();
  CheckOverlay(flags.overlay);

  const NewFolder folder(flags.out);
  CheckFolder(flags);
  const EngineOptions engine_options = flags.model.Options();
  Engine engine = Engine::Load(flags.model.Path(), engine_options);
  std::unique_ptr<Progress> progress;
  int64_t reported = 0;
  if (options.faithfulness) {
    options.faithfulness->on_run = [&](int64_t done, int64_t total) {
      if (!progress) progress = std::make_unique<Progress>("covering", total);
      for (; reported < done; ++reported) progress->Advance();
    };
  }
  const InterruptFlag interrupt;
  const Explanation e = engine.Explain(
      request, options, {.on_delta = {}, .keep_going = [] { return !InterruptFlag::raised(); }});
  progress.reset();
  if (InterruptFlag::raised())
    throw Error(Code::kCancelled, "explain: interrupted, nothing is written");

  const std::vector<std::string> earlier = EarlierOverlays(flags);
  OverlayNames overlays{.answer = WriteOverlays(flags, e, e.map, "answer"), .words = {}};
  for (size_t i = 0; i < e.words.size(); ++i)
    overlays.words.push_back(WriteOverlays(flags, e, e.words[i].map, FileStem(i, e.words[i].text)));
  Json report = ResponseJson(e.response, nullptr, engine.info(), engine_options);
  report["explanation"] = ExplanationJson(e, overlays);
  for (const std::string& name : earlier) {
    std::error_code ignored;
    if (!overlays.Has(name)) std::filesystem::remove(flags.Path(name), ignored);
  }
  WriteNewFile(flags.Path(kReportName), Line(report) + "\n", flags.may_overwrite());
  std::cout << (flags.json ? Line(report) + "\n" : ExplanationReport(e, overlays));
  FlushOutput();
}

void AddFaithfulness(CLI::App& command, ExplainFlags& flags) {
  const auto number = [&](const char* name, auto& value, const char* what) {
    command.add_option(name, value, what)
        ->check(IsInteger(name))
        ->capture_default_str()
        ->group("Faithfulness");
  };
  command
      .add_flag("--faithfulness", flags.measure,
                "measure how far the maps tell what the answer depends on: parts of the pictures\n"
                "are covered and the answer is scored again (minutes for a large model)")
      ->group("Faithfulness");
  number("--blocks", flags.faithfulness.blocks, "most parts of a picture");
  number("--curve-points", flags.faithfulness.curve_points, "steps of a deletion curve");
  command
      .add_flag("--word-curves", flags.faithfulness.word_curves, "deletion curves for every word")
      ->group("Faithfulness");
}

}  // namespace

void AddExplain(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("explain", "Answer a question and show what the answer looked at");
  const auto flags = std::make_shared<ExplainFlags>();
  command->add_option("prompt", flags->prompt, "the question");
  command->add_option("--image", flags->images, "JPEG, PNG or WebP file (repeatable)")
      ->check(NotEmpty("--image", "a path"))
      ->allow_extra_args(false);
  command
      ->add_option("--out", flags->out,
                   "folder for a PNG per word of the answer and explanation.json")
      ->check(NotEmpty("--out", "a path"));
  command->add_flag("--overwrite", flags->overwrite, "replace an explanation in that folder");
  command->add_flag("--json", flags->json, "print explanation.json instead of tables");
  command
      ->add_option("--layers", flags->layers, "layers that maps are means over: 2-5 (default: all)")
      ->check(NotEmpty("--layers", "layers such as 2-30"));
  command->add_option("--heads", flags->heads, "heads that maps are means over: 0+3 (default: all)")
      ->check(NotEmpty("--heads", "integers with + between them"));
  command->add_option("--cosine", flags->options.cosine, "threshold of the second sink detector")
      ->capture_default_str();
  command
      ->add_option("--side", flags->overlay.side, "pixels of an overlay's shorter side, at least")
      ->check(IsInteger("--side"))
      ->capture_default_str();
  command
      ->add_option(
          "--peak", flags->overlay.peak,
          "weight with the brightest colour, the same for all maps (0: each map's largest)")
      ->capture_default_str();
  AddFaithfulness(*command, *flags);
  flags->generation.Add(*command);
  flags->model.Add(*command);
  command->callback([flags] { Run(*flags); });
}

}  // namespace binocle::cli
