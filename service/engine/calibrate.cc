#include "binocle/calibrate.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "service/engine/engine_access.h"
#include "service/engine/sink_finder.h"

namespace binocle {
namespace {

using OrderedJson = nlohmann::ordered_json;

void Check(const CalibrationInput& input) {
  if (input.images.empty()) ThrowInvalid("calibrate: there is no picture, expected at least one");
}

// Asks about each picture on its own, with the hooks that `hooks` makes.
void AskAboutEach(Engine& engine, const CalibrationInput& input,
                  const std::function<RequestHooks(const LlamaConfig&)>& hooks) {
  const EngineAccess access(engine);
  int64_t done = 0;
  for (const ImageInput& image : input.images) {
    Request request = Ask(input.prompt, {image});
    request.generation.max_new_tokens = input.max_new_tokens;
    request.grounding = true;
    CheckOptions(request.generation);
    const LoadedModel loaded = access.loaded();
    access.Run(std::make_unique<PreparedRequest>(loaded, request), {},
               hooks(loaded.model.config().text));
    if (input.on_picture) input.on_picture(++done);
  }
}

double Rounded(double value) { return std::round(value * 1e6) / 1e6; }

OrderedJson Rounded(const std::vector<double>& values) {
  OrderedJson json = OrderedJson::array();
  for (const double v : values) json.push_back(Rounded(v));
  return json;
}

OrderedJson ToJson(const SinkDimension& s) {
  OrderedJson json = {{"dim", s.dim},
                      {"strength", Rounded(s.strength)},
                      {"tokens", Rounded(s.tokens)},
                      {"first_token", s.first_token}};
  json["layers"] =
      s.last_layer < 0
          ? OrderedJson(nullptr)
          : OrderedJson(std::to_string(s.first_layer) + "-" + std::to_string(s.last_layer));
  return json;
}

}  // namespace

SinkCalibration CalibrateSinks(Engine& engine, const CalibrationInput& input) {
  Check(input);
  std::unique_ptr<SinkFinder> finder;
  AskAboutEach(engine, input, [&](const LlamaConfig& config) {
    if (!finder) finder = std::make_unique<SinkFinder>(config.layers, config.width);
    finder->BeginPicture();
    return RequestHooks{.inputs = finder.get()};
  });
  return finder->Find();
}

std::string SinkCalibration::Json() const {
  OrderedJson evidence = {
      {"threshold", Rounded(threshold)}, {"pictures", pictures}, {"tokens", tokens}};
  evidence["strongest"] = OrderedJson::array();
  for (const SinkDimension& s : strongest) evidence["strongest"].push_back(ToJson(s));
  const OrderedJson json = {{"dims", dims}, {"tau", tau}, {"width", width}, {"evidence", evidence}};
  return json.dump() + "\n";
}

std::string SinkCalibration::WhyNone() const {
  const SinkDimension& first = strongest.at(0);
  const auto two_digits = [](double value) { return std::round(value * 100) / 100; };
  std::string text = internal::Concat(
      "no dimension of the hidden states is massive for a few tokens: the strongest, ", first.dim,
      ", reaches ", two_digits(first.strength), " times the RMS");
  if (first.strength < threshold)
    return text + internal::Concat(", expected ", two_digits(threshold), " or more");
  if (first.tokens > kCrowdOfTokens) {
    return text +
           internal::Concat(", and ", std::lround(100 * first.tokens), " % of the tokens share it");
  }
  return text + internal::Concat(", and the next, ", strongest.at(1).dim, ", still ",
                                 two_digits(strongest.at(1).strength));
}

HeadCalibration CalibrateHeads(Engine& engine, const CalibrationInput& input,
                               std::array<double, 2> clip) {
  Check(input);
  if (!(clip[0] >= 0 && clip[0] <= clip[1] && clip[1] <= 100)) {
    throw Error(Code::kInvalidArgument,
                internal::Concat("clip is ", clip[0], " to ", clip[1],
                                 ", expected a range within 0 to 100"),
                "clip");
  }
  HeadCalibration out{.clip = clip, .pictures = std::ssize(input.images)};
  AskAboutEach(engine, input, [&](const LlamaConfig& config) {
    out.layers = config.layers;
    out.heads = config.heads;
    out.visual_mass.resize(static_cast<size_t>(config.layers * config.heads));
    RequestHooks hooks;
    hooks.before_token = [&](int64_t, const SequenceWatch& watch) {
      const std::span<const SegmentMasses> masses = watch.masses();
      for (size_t i = 0; i < masses.size(); ++i) out.visual_mass[i] += masses[i].visual();
      ++out.tokens;
    };
    return hooks;
  });
  for (double& m : out.visual_mass) m /= static_cast<double>(out.tokens);
  for (int64_t l = 0; l < out.layers; ++l) {
    const auto row =
        std::span(out.visual_mass)
            .subspan(static_cast<size_t>(l * out.heads), static_cast<size_t>(out.heads));
    double mean = 0;
    for (const double m : row) mean += m / static_cast<double>(out.heads);
    for (const double m : row)
      out.factors.push_back(std::clamp(mean > 0 ? m / mean : 1, clip[0], clip[1]));
  }
  return out;
}

std::string HeadCalibration::Json() const {
  const OrderedJson json = {
      {"factors", Rounded(factors)},
      {"layers", layers},
      {"heads", heads},
      {"clip", clip},
      {"evidence",
       {{"pictures", pictures}, {"tokens", tokens}, {"visual_mass", Rounded(visual_mass)}}}};
  return json.dump() + "\n";
}

}  // namespace binocle
