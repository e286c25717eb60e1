#include <cstdint>
#include <optional>

#include "service/common/text.h"
#include "service/grpc/convert_response.h"

namespace binocle {
namespace {

v1::AttentionMap MapOf(const AttentionMap& from) {
  v1::AttentionMap to;
  for (const std::vector<float>& weights : from.patches)
    to.add_patches()->mutable_weights()->Add(weights.begin(), weights.end());
  to.set_visual_mass(from.visual_mass);
  return to;
}

v1::DeletionCurve CurveOf(const DeletionCurve& from) {
  v1::DeletionCurve to;
  to.mutable_share()->Add(from.share.begin(), from.share.end());
  to.mutable_probability()->Add(from.probability.begin(), from.probability.end());
  to.set_area(from.area);
  return to;
}

v1::Faithfulness FaithfulnessOf(const Faithfulness& from) {
  v1::Faithfulness to;
  if (from.pearson) to.set_pearson(*from.pearson);
  if (from.spearman) to.set_spearman(*from.spearman);
  if (!from.curves) return to;
  v1::FaithfulnessCurves& curves = *to.mutable_curves();
  *curves.mutable_by_map() = CurveOf(from.curves->by_map);
  *curves.mutable_by_drop() = CurveOf(from.curves->by_drop);
  *curves.mutable_random() = CurveOf(from.curves->random);
  if (from.curves->advantage) curves.set_advantage(*from.curves->advantage);
  return to;
}

v1::ExplainedWord WordOf(const ExplainedWord& from) {
  v1::ExplainedWord to;
  to.set_text(ValidUtf8(from.text));
  to.set_begin(from.begin);
  to.set_end(from.end);
  to.set_first_token(from.first_token);
  to.set_end_token(from.end_token);
  *to.mutable_map() = MapOf(from.map);
  to.set_grounding(from.grounding);
  for (const Faithfulness& f : from.faithfulness) *to.add_faithfulness() = FaithfulnessOf(f);
  return to;
}

v1::ExplainedToken TokenOf(const ExplainedToken& from) {
  v1::ExplainedToken to;
  to.set_id(from.id);
  to.set_text(ValidUtf8(from.text));
  to.set_visual_mass(from.visual_mass);
  to.set_grounding(from.grounding);
  return to;
}

v1::ExplainedSink SinkOf(const ExplainedSink& from) {
  v1::ExplainedSink to;
  to.set_position(from.position);
  to.set_text(ValidUtf8(from.text));
  if (from.image >= 0) to.set_image(Int32(from.image));
  if (from.row >= 0) to.set_row(Int32(from.row));
  if (from.col >= 0) to.set_col(Int32(from.col));
  if (from.phi) to.set_phi(*from.phi);
  to.set_cosine(from.cosine);
  if (from.mass) to.set_mass(*from.mass);
  to.set_massive(from.massive);
  to.set_aligned(from.aligned);
  return to;
}

v1::SinkReport SinksOf(const SinkReport& from) {
  v1::SinkReport to;
  to.mutable_dims()->Add(from.dims.begin(), from.dims.end());
  to.set_tau(from.tau);
  to.set_cosine(from.cosine);
  for (const SinkLayer& layer : from.layers) {
    v1::SinkLayer& added = *to.add_layers();
    added.set_layer(Int32(layer.layer));
    for (const ExplainedSink& sink : layer.sinks) *added.add_sinks() = SinkOf(sink);
    added.set_first_token_norm(layer.first_token_norm);
    if (layer.agreement) added.set_agreement(*layer.agreement);
  }
  return to;
}

v1::HeadReport HeadsOf(const HeadReport& from) {
  v1::HeadReport to;
  to.set_layers(Int32(from.layers));
  to.set_heads(Int32(from.heads));
  to.set_mass(from.mass);
  to.set_rho(from.rho);
  for (const HeadStatistics& statistics : from.statistics) {
    v1::HeadStatistics& added = *to.add_statistics();
    added.set_visual_mass(statistics.visual_mass);
    if (statistics.non_sink_ratio) added.set_non_sink_ratio(*statistics.non_sink_ratio);
    added.set_image_centric(statistics.image_centric);
  }
  return to;
}

v1::SeenPicture SeenOf(const SeenPicture& from) {
  v1::SeenPicture to;
  to.set_width(Int32(from.width));
  to.set_height(Int32(from.height));
  to.set_rgb(from.rgb.data(), from.rgb.size());
  return to;
}

}  // namespace

v1::ExplainResponse ExplainResponseOf(const Explanation& from, const std::string& model) {
  v1::ExplainResponse to;
  *to.mutable_response() = AskResponseOf(from.response, model);
  to.mutable_layers()->set_first(Int32(from.layers.first));
  to.mutable_layers()->set_last(Int32(from.layers.last));
  for (const int64_t head : from.heads) to.add_heads(Int32(head));
  to.set_rows(Int32(from.rows));
  to.set_cols(Int32(from.cols));
  for (const SeenPicture& picture : from.seen) *to.add_seen() = SeenOf(picture);
  for (const ExplainedToken& token : from.tokens) *to.add_tokens() = TokenOf(token);
  for (const ExplainedWord& word : from.words) *to.add_words() = WordOf(word);
  *to.mutable_map() = MapOf(from.map);
  for (const Faithfulness& f : from.faithfulness) *to.add_faithfulness() = FaithfulnessOf(f);
  to.set_block(Int32(from.block));
  *to.mutable_sinks() = SinksOf(from.sinks);
  *to.mutable_head_report() = HeadsOf(from.head_report);
  return to;
}

}  // namespace binocle
