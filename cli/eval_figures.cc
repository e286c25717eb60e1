#include "cli/eval_figures.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "binocle/error.h"
#include "binocle/explain.h"

#include "cli/interrupt.h"
#include "cli/intervention_flags.h"
#include "cli/json_output.h"
#include "cli/load_engine.h"

namespace binocle::cli {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMostPictureBytes = uintmax_t{8} << 20;

// Where a picture of a sample is; empty where it is no file within the data: pictures in rows go by hashes, and a damaged samples file
// could name anything.
fs::path PicturePath(const std::string& data, const std::string& task, const std::string& image) {
  std::error_code failure;
  const fs::path own = fs::path(data) / task;
  const fs::path folder =
      fs::canonical(fs::is_directory(own, failure) ? own : fs::path(data), failure);
  const fs::path path = fs::canonical(folder / image, failure);
  if (failure || !fs::is_regular_file(path, failure)) return {};
  const fs::path within = path.lexically_relative(folder);
  return within.empty() || *within.begin() == ".." ? fs::path() : path;
}

EvalFigure PictureFigure(const fs::path& path, const std::string& image) {
  if (path.empty())
    return {
        .bytes = {},
        .caption =
            image + ": no file of that name in --data, nor a picture in a row that can be shown"};
  std::error_code failure;
  if (fs::file_size(path, failure) > kMostPictureBytes || failure)
    return {.bytes = {}, .caption = image + ": more than 8 MiB, not shown"};
  std::ifstream file(path, std::ios::binary);
  return {.bytes = {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()},
          .caption = image};
}

// A value of an intervention as its option spells it: 0.6, paper, 2-30 for layers, 3+5 for a list.
std::string OptionText(const std::string& key, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& one : value)
    text += (text.empty() ? "" : key == "layers" ? "-" : "+") + one.dump();
  return text;
}

// The interventions of a run, from InterventionsJson.
void ReadInterventionsJson(const Json& json, Interventions& out) {
  for (const auto& [name, members] : json.items()) {
    std::string text;
    for (const auto& [key, value] : members.items()) {
      if (value.is_null() || (value.is_array() && value.empty())) continue;
      text += (text.empty() ? "" : ",") + key + "=" + OptionText(key, value);
    }
    SetIntervention(name, text, out);
  }
}

// The question of a sample as the run asked it.
Request QuestionOf(const EvalShownSample& sample, const std::vector<ImageInput>& pictures) {
  const Json asked = Json::parse(sample.asked);
  const Json& common = asked.at("request");
  Request request;
  if (common.at("prompt_format") == "raw") request.prompt_format = PromptFormat::kRaw;
  if (common.at("system").is_string()) request.system = common.at("system").get<std::string>();
  request.generation.max_new_tokens = sample.max_new_tokens;
  request.generation.temperature = 0;
  if (asked.at("settings").contains("interventions"))
    ReadInterventionsJson(asked.at("settings").at("interventions"), request.interventions);
  Message message{.role = MessageRole::kUser, .text = sample.prompt, .images = {}};
  for (const ImageInput& picture : pictures) {
    message.images.push_back(picture);
    message.images.back().exif = asked.at("exif").get<bool>();
  }
  request.messages.push_back(std::move(message));
  return request;
}

std::string Decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

// "looked at: 0.31 of the weight; grounding: a 0.12, panda 0.45"
std::string MapCaption(const Explanation& e, const EvalShownSample& sample) {
  std::string text = "looked at, with " + Decimals(e.map.visual_mass) + " of the weight";
  for (size_t i = 0; i < e.words.size(); ++i)
    text +=
        (i == 0 ? "; grounding: " : ", ") + e.words[i].text + " " + Decimals(e.words[i].grounding);
  const std::string& now = e.response.answers[0].text;
  if (now != sample.prediction) text += "; the answer here is: " + now;
  return text;
}

}  // namespace

EvalFigures::EvalFigures(std::string data, std::optional<ModelFlags> model)
    : data_(std::move(data)), model_(std::move(model)) {
  std::error_code ignored;
  if (!data_.empty() && !fs::is_directory(data_, ignored))
    throw Error(Code::kNotFound, data_ + ": is no folder, expected that of the data (--data)");
}

std::vector<EvalFigure> EvalFigures::Of(const EvalShownSample& sample) {
  std::vector<EvalFigure> figures;
  if (data_.empty()) return figures;
  std::vector<ImageInput> pictures;
  for (size_t i = 0; i < sample.images.size(); ++i) {
    const std::string& image = sample.images[i];
    if (!sample.pictures[i].empty()) {
      figures.push_back({.bytes = sample.pictures[i], .caption = image + ", in its row"});
      pictures.push_back(ImageInput::FromBytes(sample.pictures[i], image));
      continue;
    }
    const fs::path path = PicturePath(data_, sample.task, image);
    figures.push_back(PictureFigure(path, image));
    if (!path.empty()) pictures.push_back(ImageInput::FromFile(path.string()));
  }
  if (model_ && !pictures.empty() && pictures.size() == sample.images.size())
    Explain(sample, pictures, figures);
  return figures;
}

void EvalFigures::Explain(const EvalShownSample& sample, const std::vector<ImageInput>& pictures,
                          std::vector<EvalFigure>& figures) {
  if (!engine_) engine_ = std::make_unique<Engine>(LoadEngine(model_->Path(), model_->Options()));
  try {
    const Explanation e =
        engine_->Explain(QuestionOf(sample, pictures), {},
                         {.on_delta = {}, .keep_going = [] { return !InterruptFlag::raised(); }});
    for (size_t i = 0; i < e.map.patches.size(); ++i)
      figures.push_back({.bytes = RenderOverlay(e, e.map, static_cast<int64_t>(i)),
                         .caption = MapCaption(e, sample)});
  } catch (const Error& error) {
    if (!InterruptFlag::raised())
      figures.push_back({.bytes = {}, .caption = std::string("no map: ") + error.what()});
  }
  if (InterruptFlag::raised())
    throw Error(Code::kCancelled, "eval report: interrupted, nothing is written");
}

}  // namespace binocle::cli
