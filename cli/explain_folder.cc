#include "cli/explain_folder.h"

#include <filesystem>
#include <fstream>
#include <iostream>

#include "cli/explain_json.h"
#include "cli/explain_report.h"
#include "cli/output.h"

namespace binocle::cli {
namespace {

constexpr const char* kReportName = "explanation.json";

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

}  // namespace

ExplanationFolder::ExplanationFolder(const ExplainFlags& flags)
    : flags_(flags), folder_(flags.out) {
  CheckFolder(flags);
}

void ExplanationFolder::Write(const Explanation& e, Json report) const {
  const std::vector<std::string> earlier = EarlierOverlays(flags_);
  OverlayNames overlays{.answer = WriteOverlays(flags_, e, e.map, "answer"), .words = {}};
  for (size_t i = 0; i < e.words.size(); ++i)
    overlays.words.push_back(
        WriteOverlays(flags_, e, e.words[i].map, FileStem(i, e.words[i].text)));
  report["explanation"] = ExplanationJson(e, overlays);
  for (const std::string& name : earlier) {
    std::error_code ignored;
    if (!overlays.Has(name)) std::filesystem::remove(flags_.Path(name), ignored);
  }
  WriteNewFile(flags_.Path(kReportName), Line(report) + "\n", flags_.may_overwrite());
  std::cout << (flags_.json ? Line(report) + "\n" : ExplanationReport(e, overlays));
  FlushOutput();
}

}  // namespace binocle::cli
