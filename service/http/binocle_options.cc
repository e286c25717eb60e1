#include "service/http/binocle_options.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binocle::http {
namespace {

template <typename Enum>
using Names = std::initializer_list<std::pair<const char*, Enum>>;

template <typename Enum>
void ReadChoice(const Fields& object, const char* key, Names<Enum> names, Enum& out) {
  if (!object.Has(key)) return;
  const auto text = object.Text(key);
  std::string expected;
  for (const auto& [name, value] : names) {
    if (name == text) {
      out = value;
      return;
    }
    expected += (expected.empty() ? "" : " or ") + std::string(name);
  }
  object.Fail(key, expected);
}

bool ParseWhole(std::string_view text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "2-30", both inclusive, or "7".
void ReadLayers(const Fields& object, std::optional<Layers>& out) {
  const auto text = object.Text("layers");
  if (!text) return;
  const size_t dash = text->find('-');
  Layers layers;
  bool good = ParseWhole(std::string_view(*text).substr(0, dash), layers.first);
  layers.last = layers.first;
  if (dash != std::string::npos)
    good = good && ParseWhole(std::string_view(*text).substr(dash + 1), layers.last);
  if (!good || layers.first < 0 || layers.last < layers.first)
    object.Fail("layers", "layers such as \"2-30\", 0-based and inclusive");
  out = layers;
}

void ReadStart(const Fields& object, InterventionStart& out) {
  ReadChoice<InterventionStart>(
      object, "start",
      {{"prefill", InterventionStart::kPrefill}, {"decode", InterventionStart::kDecode}}, out);
}

VarOptions ReadVar(const Fields& object) {
  using Compat = VarOptions::Compat;
  object.OnlyKeys({"p", "rho", "tau", "mass", "layers", "dims", "compat"});
  VarOptions var;
  object.Number("p", var.p);
  object.Number("rho", var.rho);
  if (object.Has("tau")) object.Number("tau", var.tau.emplace());
  object.Number("mass", var.mass);
  ReadLayers(object, var.layers);
  if (auto dims = object.Integers("dims")) var.dims = *std::move(dims);
  ReadChoice<Compat>(object, "compat", {{"paper", Compat::kPaper}, {"release", Compat::kRelease}},
                     var.compat);
  return var;
}

ModulationOptions ReadModulation(const Fields& object) {
  using Heads = ModulationOptions::Heads;
  object.OnlyKeys({"alpha", "beta", "local", "spatial", "layers", "heads", "start"});
  ModulationOptions modulation;
  object.Number("alpha", modulation.alpha);
  object.Number("beta", modulation.beta);
  object.Number("local", modulation.local);
  object.Number("spatial", modulation.spatial);
  ReadLayers(object, modulation.layers);
  ReadChoice<Heads>(object, "heads",
                    {{"uniform", Heads::kUniform}, {"calibrated", Heads::kCalibrated}},
                    modulation.heads);
  ReadStart(object, modulation.start);
  return modulation;
}

PaiOptions ReadPai(const Fields& object) {
  object.OnlyKeys({"alpha", "layers", "start"});
  PaiOptions pai;
  object.Number("alpha", pai.alpha);
  ReadLayers(object, pai.layers);
  ReadStart(object, pai.start);
  return pai;
}

GuidanceOptions ReadGuidance(const Fields& object) {
  object.OnlyKeys({"gamma", "cut"});
  GuidanceOptions guidance;
  object.Number("gamma", guidance.gamma);
  object.Number("cut", guidance.cut);
  return guidance;
}

VcdOptions ReadVcd(const Fields& object) {
  object.OnlyKeys({"alpha", "beta", "steps"});
  VcdOptions vcd;
  object.Number("alpha", vcd.alpha);
  object.Number("beta", vcd.beta);
  object.Integer("steps", vcd.steps);
  return vcd;
}

Interventions ReadInterventions(const Fields& object) {
  object.OnlyKeys({"var", "modulate", "pai", "guidance", "vcd"});
  Interventions out;
  if (const auto var = object.Object("var")) out.var = ReadVar(*var);
  if (const auto modulate = object.Object("modulate")) out.modulate = ReadModulation(*modulate);
  if (const auto pai = object.Object("pai")) out.pai = ReadPai(*pai);
  if (const auto guidance = object.Object("guidance")) out.guidance = ReadGuidance(*guidance);
  if (const auto vcd = object.Object("vcd")) out.vcd = ReadVcd(*vcd);
  return out;
}

AttentionOptions ReadAttention(const Fields& object) {
  object.OnlyKeys({"kind", "composite_layers", "aligner"});
  AttentionOptions out;
  if (object.Has("kind")) {
    ReadChoice<AttentionKind>(
        object, "kind",
        {{"stock", AttentionKind::kStock}, {"composite", AttentionKind::kComposite}},
        out.kind.emplace());
  }
  if (const auto layers = object.Text("composite_layers"))
    out.composite_layers = LayerRanges::Parse(*layers, object.Place("composite_layers"));
  if (object.Has("aligner")) {
    ReadChoice<Aligner>(
        object, "aligner",
        {{"vo", Aligner::kVo}, {"vo_ffn", Aligner::kVoFfn}, {"none", Aligner::kNone}},
        out.aligner.emplace());
  }
  return out;
}

Constraint ReadConstraint(const Fields& object) {
  object.OnlyKeys({"choices", "regex", "json_schema"});
  std::vector<Constraint> given;
  if (auto choices = object.Texts("choices", Fields::Single::kRefused))
    given.emplace_back(Choices{.values = *std::move(choices)});
  if (auto pattern = object.Text("regex"))
    given.emplace_back(Regex{.pattern = *std::move(pattern)});
  if (const auto schema = object.Object("json_schema"))
    given.emplace_back(JsonSchema{.schema = Line(schema->json())});
  if (given.size() != 1) {
    const std::string place = object.Place("");
    const std::string name = place.substr(0, place.size() - 1);
    throw Error(Code::kInvalidArgument,
                name + " has " + std::to_string(given.size()) +
                    " members, expected one of choices, regex and json_schema",
                name);
  }
  return std::move(given.front());
}

}  // namespace

void ReadBinocleOptions(const Fields& object, Request& out) {
  object.OnlyKeys({"top_k", "min_p", "repetition_penalty", "prompt_format", "grounding", "priority",
                   "interventions", "attention", "constraint"});
  object.Integer("top_k", out.generation.top_k);
  object.Number("min_p", out.generation.min_p);
  object.Number("repetition_penalty", out.generation.repetition_penalty);
  ReadChoice<PromptFormat>(object, "prompt_format",
                           {{"chat", PromptFormat::kChat}, {"raw", PromptFormat::kRaw}},
                           out.prompt_format);
  object.Boolean("grounding", out.grounding);
  object.Integer("priority", out.priority);
  if (const auto interventions = object.Object("interventions"))
    out.interventions = ReadInterventions(*interventions);
  if (const auto attention = object.Object("attention")) out.attention = ReadAttention(*attention);
  if (const auto constraint = object.Object("constraint"))
    out.constraint = ReadConstraint(*constraint);
}

ExplainOptions ReadExplainOptions(const Fields& object) {
  object.OnlyKeys({"layers", "heads", "cosine"});
  ExplainOptions options;
  ReadLayers(object, options.layers);
  if (auto heads = object.Integers("heads")) options.heads = *std::move(heads);
  object.Number("cosine", options.cosine);
  return options;
}

}  // namespace binocle::http
