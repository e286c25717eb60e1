#include <algorithm>
#include <cstdint>
#include <optional>

#include "service/client/from_proto.h"

namespace binocle {
namespace {

template <typename Value>
std::optional<Value> If(bool has, Value value) {
  return has ? std::optional<Value>(value) : std::nullopt;
}

AttentionMap MapFrom(const v1::AttentionMap& from) {
  AttentionMap to;
  for (const v1::PatchMap& patches : from.patches())
    to.patches.emplace_back(patches.weights().begin(), patches.weights().end());
  to.visual_mass = from.visual_mass();
  return to;
}

DeletionCurve CurveFrom(const v1::DeletionCurve& from) {
  return {.share = {from.share().begin(), from.share().end()},
          .probability = {from.probability().begin(), from.probability().end()},
          .area = from.area()};
}

Faithfulness FaithfulnessFrom(const v1::Faithfulness& from) {
  Faithfulness to;
  to.pearson = If(from.has_pearson(), from.pearson());
  to.spearman = If(from.has_spearman(), from.spearman());
  if (!from.has_curves()) return to;
  const v1::FaithfulnessCurves& curves = from.curves();
  to.curves = {.by_map = CurveFrom(curves.by_map()),
               .by_drop = CurveFrom(curves.by_drop()),
               .random = CurveFrom(curves.random()),
               .advantage = If(curves.has_advantage(), curves.advantage())};
  return to;
}

ExplainedWord WordFrom(const v1::ExplainedWord& from) {
  ExplainedWord to;
  to.text = from.text();
  to.begin = from.begin();
  to.end = from.end();
  to.first_token = from.first_token();
  to.end_token = from.end_token();
  to.map = MapFrom(from.map());
  to.grounding = from.grounding();
  for (const v1::Faithfulness& f : from.faithfulness())
    to.faithfulness.push_back(FaithfulnessFrom(f));
  return to;
}

ExplainedSink SinkFrom(const v1::ExplainedSink& from) {
  ExplainedSink to;
  to.position = from.position();
  to.text = from.text();
  if (from.has_image()) to.image = from.image();
  if (from.has_row()) to.row = from.row();
  if (from.has_col()) to.col = from.col();
  to.phi = If(from.has_phi(), from.phi());
  to.cosine = from.cosine();
  to.mass = If(from.has_mass(), from.mass());
  to.massive = from.massive();
  to.aligned = from.aligned();
  return to;
}

SinkReport SinksFrom(const v1::SinkReport& from) {
  SinkReport to;
  to.dims.assign(from.dims().begin(), from.dims().end());
  to.tau = from.tau();
  to.cosine = from.cosine();
  for (const v1::SinkLayer& layer : from.layers()) {
    SinkLayer& added = to.layers.emplace_back();
    added.layer = layer.layer();
    for (const v1::ExplainedSink& sink : layer.sinks()) added.sinks.push_back(SinkFrom(sink));
    added.first_token_norm = layer.first_token_norm();
    added.agreement = If(layer.has_agreement(), layer.agreement());
  }
  return to;
}

HeadReport HeadsFrom(const v1::HeadReport& from) {
  HeadReport to;
  to.layers = from.layers();
  to.heads = from.heads();
  to.mass = from.mass();
  to.rho = from.rho();
  for (const v1::HeadStatistics& statistics : from.statistics()) {
    to.statistics.push_back(
        {.visual_mass = statistics.visual_mass(),
         .non_sink_ratio = If(statistics.has_non_sink_ratio(), statistics.non_sink_ratio()),
         .image_centric = statistics.image_centric()});
  }
  return to;
}

SeenPicture SeenFrom(const v1::SeenPicture& from) {
  return {.width = from.width(),
          .height = from.height(),
          .rgb = {from.rgb().begin(), from.rgb().end()}};
}

bool FitsPatches(const v1::AttentionMap& map, const v1::ExplainResponse& all) {
  const int64_t patches = int64_t{all.rows()} * all.cols();
  return (map.patches_size() == 0 || map.patches_size() == all.seen_size()) &&
         std::all_of(map.patches().begin(), map.patches().end(),
                     [&](const v1::PatchMap& p) { return p.weights_size() == patches; });
}

bool FitsPixels(const v1::SeenPicture& picture) {
  const int64_t pixels = int64_t{picture.width()} * picture.height();
  return picture.width() > 0 && picture.height() > 0 &&
         3 * pixels == static_cast<int64_t>(picture.rgb().size());
}

}  // namespace

bool IsWhole(const v1::ExplainResponse& from) {
  const v1::HeadReport& heads = from.head_report();
  return from.response().answers_size() > 0 &&
         heads.statistics_size() == int64_t{heads.layers()} * heads.heads() &&
         std::all_of(from.seen().begin(), from.seen().end(), FitsPixels) &&
         FitsPatches(from.map(), from) &&
         std::all_of(from.words().begin(), from.words().end(),
                     [&](const v1::ExplainedWord& word) { return FitsPatches(word.map(), from); });
}

Explanation ExplanationFrom(const v1::ExplainResponse& from) {
  Explanation to;
  to.response = ResponseFrom(from.response());
  to.layers = {.first = from.layers().first(), .last = from.layers().last()};
  to.heads.assign(from.heads().begin(), from.heads().end());
  to.rows = from.rows();
  to.cols = from.cols();
  for (const v1::SeenPicture& picture : from.seen()) to.seen.push_back(SeenFrom(picture));
  for (const v1::ExplainedToken& token : from.tokens()) {
    to.tokens.push_back({.id = token.id(),
                         .text = token.text(),
                         .visual_mass = token.visual_mass(),
                         .grounding = token.grounding()});
  }
  for (const v1::ExplainedWord& word : from.words()) to.words.push_back(WordFrom(word));
  to.map = MapFrom(from.map());
  for (const v1::Faithfulness& f : from.faithfulness())
    to.faithfulness.push_back(FaithfulnessFrom(f));
  to.block = from.block();
  to.sinks = SinksFrom(from.sinks());
  to.head_report = HeadsFrom(from.head_report());
  return to;
}

}  // namespace binocle
