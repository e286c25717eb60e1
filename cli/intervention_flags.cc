#include "cli/intervention_flags.h"

#include <map>
#include <sstream>
#include <vector>

#include "binocle/error.h"
#include "cli/ranges.h"

namespace binocle::cli {
namespace {

[[noreturn]] void Fail(const std::string& option, const std::string& rest) {
  throw Error(Code::kInvalidArgument, option + rest, option);
}

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  if (text.ends_with(at)) parts.emplace_back();
  return parts;
}

// The key=value pairs of an option. Every reader takes its key; Done() refuses what is left.
class Pairs {
 public:
  Pairs(std::string option, const std::string& text) : option_(std::move(option)) {
    for (const std::string& part : Split(text, ',')) {
      const size_t equals = part.find('=');
      const std::string key = part.substr(0, equals);
      if (equals == std::string::npos || key.empty())
        Fail(option_, " has '" + part + "', expected key=value pairs with commas between them");
      if (!values_.emplace(key, part.substr(equals + 1)).second)
        Fail(option_, "." + key + " is given twice");
    }
  }

  void Number(const std::string& key, double& out) {
    Read(key, "a number", [&](const std::string& text) { return ReadNumber(text, out); });
  }
  void Number(const std::string& key, std::optional<double>& out) {
    Read(key, "a number", [&](const std::string& text) { return ReadNumber(text, out.emplace()); });
  }
  void Integer(const std::string& key, int64_t& out) {
    Read(key, "an integer", [&](const std::string& text) { return ReadNumber(text, out); });
  }
  void Range(const std::string& key, std::optional<Layers>& out) {
    Read(key, "layers such as 2-30",
         [&](const std::string& text) { return ReadLayers(text, out.emplace()); });
  }
  void Integers(const std::string& key, std::vector<int64_t>& out) {
    Read(key, "integers with + between them",
         [&](const std::string& text) { return ReadIntegers(text, out); });
  }
  template <typename Enum>
  void Choice(const std::string& key, const std::vector<std::pair<std::string, Enum>>& choices,
              Enum& out) {
    std::string names;
    for (const auto& choice : choices) names += (names.empty() ? "" : " or ") + choice.first;
    Read(key, names, [&](const std::string& text) {
      for (const auto& [name, value] : choices) {
        if (name != text) continue;
        out = value;
        return true;
      }
      return false;
    });
  }

  void Done() const {
    if (values_.empty()) return;
    std::string names;
    for (const std::string& key : known_) names += (names.empty() ? "" : ", ") + key;
    Fail(option_, " has no " + values_.begin()->first + ", expected some of " + names);
  }

 private:
  template <typename Reader>
  void Read(const std::string& key, const std::string& expected, const Reader& reader) {
    known_.push_back(key);
    const auto it = values_.find(key);
    if (it == values_.end()) return;
    if (!reader(it->second))
      Fail(option_, "." + key + " is '" + it->second + "', expected " + expected);
    values_.erase(it);
  }

  std::string option_;
  std::map<std::string, std::string> values_;
  std::vector<std::string> known_;
};

using Compat = VarOptions::Compat;
using Heads = ModulationOptions::Heads;
const std::vector<std::pair<std::string, Compat>> kCompats = {{"paper", Compat::kPaper},
                                                              {"release", Compat::kRelease}};
const std::vector<std::pair<std::string, Heads>> kHeads = {{"uniform", Heads::kUniform},
                                                           {"calibrated", Heads::kCalibrated}};
const std::vector<std::pair<std::string, InterventionStart>> kStarts = {
    {"prefill", InterventionStart::kPrefill}, {"decode", InterventionStart::kDecode}};

template <typename Enum>
std::string NameOf(const std::vector<std::pair<std::string, Enum>>& choices, Enum value) {
  for (const auto& choice : choices) {
    if (choice.second == value) return choice.first;
  }
  return "?";
}

Json LayersJson(const std::optional<Layers>& layers) {
  if (!layers) return nullptr;
  return std::to_string(layers->first) + "-" + std::to_string(layers->last);
}

}  // namespace

void SetIntervention(const std::string& name, const std::string& text, Interventions& out) {
  Pairs pairs(name, text);
  if (name == "var") {
    VarOptions& v = out.var.emplace();
    pairs.Number("p", v.p);
    pairs.Number("rho", v.rho);
    pairs.Number("tau", v.tau);
    pairs.Number("mass", v.mass);
    pairs.Range("layers", v.layers);
    pairs.Integers("dims", v.dims);
    pairs.Choice("compat", kCompats, v.compat);
  } else if (name == "modulate") {
    ModulationOptions& m = out.modulate.emplace();
    pairs.Number("alpha", m.alpha);
    pairs.Number("beta", m.beta);
    pairs.Number("local", m.local);
    pairs.Number("spatial", m.spatial);
    pairs.Range("layers", m.layers);
    pairs.Choice("heads", kHeads, m.heads);
    pairs.Choice("start", kStarts, m.start);
  } else if (name == "pai") {
    PaiOptions& p = out.pai.emplace();
    pairs.Number("alpha", p.alpha);
    pairs.Range("layers", p.layers);
    pairs.Choice("start", kStarts, p.start);
  } else if (name == "guidance") {
    GuidanceOptions& g = out.guidance.emplace();
    pairs.Number("gamma", g.gamma);
    pairs.Number("cut", g.cut);
  } else if (name == "vcd") {
    VcdOptions& v = out.vcd.emplace();
    pairs.Number("alpha", v.alpha);
    pairs.Number("beta", v.beta);
    pairs.Integer("steps", v.steps);
  }
  pairs.Done();
}

void ClearIntervention(const std::string& name, Interventions& out) {
  if (name == "var") out.var.reset();
  if (name == "modulate") out.modulate.reset();
  if (name == "pai") out.pai.reset();
  if (name == "guidance") out.guidance.reset();
  if (name == "vcd") out.vcd.reset();
}

Json InterventionsJson(const Interventions& i) {
  Json json = Json::object();
  if (const auto& v = i.var) {
    json["var"] = {{"p", v->p},
                   {"rho", v->rho},
                   {"tau", v->tau ? Json(*v->tau) : Json(nullptr)},
                   {"mass", v->mass},
                   {"layers", LayersJson(v->layers)},
                   {"dims", v->dims},
                   {"compat", NameOf(kCompats, v->compat)}};
  }
  if (const auto& m = i.modulate) {
    json["modulate"] = {{"alpha", m->alpha},
                        {"beta", m->beta},
                        {"local", m->local},
                        {"spatial", m->spatial},
                        {"layers", LayersJson(m->layers)},
                        {"heads", NameOf(kHeads, m->heads)},
                        {"start", NameOf(kStarts, m->start)}};
  }
  if (const auto& p = i.pai) {
    json["pai"] = {{"alpha", p->alpha},
                   {"layers", LayersJson(p->layers)},
                   {"start", NameOf(kStarts, p->start)}};
  }
  if (const auto& g = i.guidance) json["guidance"] = {{"gamma", g->gamma}, {"cut", g->cut}};
  if (const auto& v = i.vcd)
    json["vcd"] = {{"alpha", v->alpha}, {"beta", v->beta}, {"steps", v->steps}};
  return json;
}

void InterventionFlags::Add(CLI::App& command) {
  const auto add = [&](const std::string& name, const std::string& what) {
    const auto set = [this, name](const std::string& text) {
      SetIntervention(name, text, interventions);
    };
    command.add_option_function<std::string>("--" + name, set, what)->group("Interventions");
  };
  add("var",
      "sink redistribution: p=0.6,rho=0.5[,tau=20,mass=0.2,layers=2-30,dims=1415+2533,\n"
      "compat=paper|release]");
  add("modulate",
      "hallucination modulation: alpha=0.7,beta=0.4[,local=0.25,spatial=0,layers=2-31,\n"
      "heads=uniform|calibrated,start=prefill|decode]");
  add("pai", "PAI's attention part: alpha=0.2[,layers=2-31,start=prefill|decode]");
  add("guidance", "image-free guidance: gamma=1.1[,cut=0.1]");
  add("vcd", "visual contrastive decoding: alpha=1,beta=0.1,steps=500; noise from --seed");
}

}  // namespace binocle::cli
