#include "service/http/explain_response.h"

#include <cmath>
#include <string_view>

#include "service/http/data_url.h"
#include "service/http/openai_response.h"

namespace binocle::http {
namespace {

// Six decimals: floats written in full would be twice as long, and nobody sees the rest.
Json PatchesJson(const std::vector<float>& patches) {
  constexpr double kScale = 1e6;
  Json json = Json::array();
  for (const float value : patches) json.push_back(std::round(double{value} * kScale) / kScale);
  return json;
}

Json MapJson(const AttentionMap& map) {
  Json patches = Json::array();
  for (const auto& picture : map.patches) patches.push_back(PatchesJson(picture));
  return {{"visual_mass", map.visual_mass}, {"patches", std::move(patches)}};
}

Json PictureJson(const SeenPicture& seen) {
  const std::string_view bytes(reinterpret_cast<const char*>(seen.rgb.data()), seen.rgb.size());
  return {{"width", seen.width}, {"height", seen.height}, {"rgb", EncodeBase64(bytes)}};
}

}  // namespace

Json ExplanationJson(const Explanation& e) {
  Json pictures = Json::array(), words = Json::array(), tokens = Json::array();
  for (const SeenPicture& seen : e.seen) pictures.push_back(PictureJson(seen));
  for (const ExplainedWord& w : e.words) {
    words.push_back({{"text", w.text},
                     {"begin", w.begin},
                     {"end", w.end},
                     {"grounding", w.grounding},
                     {"map", MapJson(w.map)}});
  }
  for (const ExplainedToken& t : e.tokens) {
    tokens.push_back({{"id", t.id},
                      {"text", t.text},
                      {"visual_mass", t.visual_mass},
                      {"grounding", t.grounding}});
  }
  const bool answered = !e.response.answers.empty();
  const Answer none;
  const Answer& answer = answered ? e.response.answers[0] : none;
  return {{"answer", answer.text},
          {"finish_reason", answer.finish_reason == FinishReason::kStop ? "stop" : "length"},
          {"usage", UsageJson(e.response)},
          {"rows", e.rows},
          {"cols", e.cols},
          {"layers", {e.layers.first, e.layers.last}},
          {"heads", e.heads},
          {"pictures", std::move(pictures)},
          {"words", std::move(words)},
          {"tokens", std::move(tokens)},
          {"map", MapJson(e.map)}};
}

}  // namespace binocle::http
