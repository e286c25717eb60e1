#include "cli/explain_json.h"

#include <algorithm>
#include <optional>

namespace binocle::cli {
namespace {

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

Json CurveJson(const DeletionCurve& c) {
  return {{"share", c.share}, {"probability", c.probability}, {"area", c.area}};
}

Json FaithfulnessJson(const std::vector<Faithfulness>& pictures) {
  Json list = Json::array();
  for (const Faithfulness& f : pictures) {
    Json curves;
    if (f.curves) {
      curves = {{"by_map", CurveJson(f.curves->by_map)},
                {"by_drop", CurveJson(f.curves->by_drop)},
                {"random", CurveJson(f.curves->random)},
                {"advantage", OrNull(f.curves->advantage)}};
    }
    list.push_back(
        {{"pearson", OrNull(f.pearson)}, {"spearman", OrNull(f.spearman)}, {"curves", curves}});
  }
  return list;
}

Json MapJson(const AttentionMap& map, const std::vector<std::string>& overlays) {
  return {{"visual_mass", map.visual_mass}, {"patches", map.patches}, {"overlays", overlays}};
}

Json SinkJson(const ExplainedSink& s) {
  Json json = {{"position", s.position}, {"text", s.text},         {"image", Json()},
               {"row", Json()},          {"col", Json()},          {"phi", OrNull(s.phi)},
               {"cosine", s.cosine},     {"mass", OrNull(s.mass)}, {"massive", s.massive},
               {"aligned", s.aligned}};
  if (s.image >= 0) json["image"] = s.image;
  if (s.row >= 0) json["row"] = s.row;
  if (s.col >= 0) json["col"] = s.col;
  return json;
}

Json SinksJson(const SinkReport& report) {
  Json layers = Json::array();
  for (const SinkLayer& layer : report.layers) {
    Json sinks = Json::array();
    for (const ExplainedSink& sink : layer.sinks) sinks.push_back(SinkJson(sink));
    layers.push_back({{"layer", layer.layer},
                      {"first_token_norm", layer.first_token_norm},
                      {"agreement", OrNull(layer.agreement)},
                      {"sinks", sinks}});
  }
  return {
      {"dims", report.dims}, {"tau", report.tau}, {"cosine", report.cosine}, {"layers", layers}};
}

// Statistics of the heads as three tables [L][H].
Json HeadsJson(const HeadReport& report) {
  Json mass = Json::array(), ratio = Json::array(), centric = Json::array();
  for (int64_t l = 0; l < report.layers; ++l) {
    Json m = Json::array(), r = Json::array(), c = Json::array();
    for (int64_t h = 0; h < report.heads; ++h) {
      const HeadStatistics& s = report.statistics[static_cast<size_t>(l * report.heads + h)];
      m.push_back(s.visual_mass);
      r.push_back(OrNull(s.non_sink_ratio));
      c.push_back(s.image_centric);
    }
    mass.push_back(std::move(m));
    ratio.push_back(std::move(r));
    centric.push_back(std::move(c));
  }
  return {{"mass", report.mass},
          {"rho", report.rho},
          {"visual_mass", mass},
          {"non_sink_ratio", ratio},
          {"image_centric", centric}};
}

}  // namespace

bool OverlayNames::Has(const std::string& name) const {
  const auto has = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has(answer) || std::any_of(words.begin(), words.end(), has);
}

Json ExplanationJson(const Explanation& e, const OverlayNames& overlays) {
  Json pictures = Json::array(), tokens = Json::array(), words = Json::array();
  for (const SeenPicture& seen : e.seen)
    pictures.push_back({{"width", seen.width}, {"height", seen.height}});
  for (const ExplainedToken& t : e.tokens) {
    tokens.push_back({{"id", t.id},
                      {"text", t.text},
                      {"visual_mass", t.visual_mass},
                      {"grounding", t.grounding}});
  }
  for (size_t i = 0; i < e.words.size(); ++i) {
    const ExplainedWord& w = e.words[i];
    words.push_back({{"text", w.text},
                     {"begin", w.begin},
                     {"end", w.end},
                     {"first_token", w.first_token},
                     {"end_token", w.end_token},
                     {"grounding", w.grounding},
                     {"map", MapJson(w.map, overlays.words[i])},
                     {"faithfulness", FaithfulnessJson(w.faithfulness)}});
  }
  return {{"layers", {e.layers.first, e.layers.last}},
          {"heads", e.heads},
          {"rows", e.rows},
          {"cols", e.cols},
          {"pictures", pictures},
          {"tokens", tokens},
          {"words", words},
          {"map", MapJson(e.map, overlays.answer)},
          {"block", e.block},
          {"faithfulness", FaithfulnessJson(e.faithfulness)},
          {"sinks", SinksJson(e.sinks)},
          {"head_report", HeadsJson(e.head_report)}};
}

}  // namespace binocle::cli
