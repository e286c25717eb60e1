#include "cli/json_output.h"

#include "cli/intervention_flags.h"

namespace binocle::cli {
namespace {

Json LogprobsJson(const Answer& answer) {
  Json steps = Json::array();
  for (const auto& step : answer.logprobs) {
    Json pairs = Json::array();
    for (const TokenLogProbability& p : step) pairs.push_back({p.id, p.value});
    steps.push_back(std::move(pairs));
  }
  return steps;
}

Json TimingsJson(const Timings& t) {
  return {{"load", t.load},
          {"decode", t.decode},
          {"anchor", t.anchor},
          {"augment", t.augment},
          {"fusion", t.fusion},
          {"prefill", t.prefill},
          {"first_token", t.first_token},
          {"total", t.total},
          {"per_token", t.per_token}};
}

Json AnswerJson(const Answer& answer) {
  Json json = {{"answer", answer.text},
               {"finish_reason", FinishReasonName(answer.finish_reason)},
               {"token_ids", answer.token_ids},
               {"logprobs", LogprobsJson(answer)}};
  if (!answer.grounding.empty()) json["grounding"] = answer.grounding;
  return json;
}

}  // namespace

Json ResponseJson(const Response& r, const Json& id, const ModelInfo& info) {
  return ResponseJson(
      r, id, {{"device", info.device}, {"compute", info.compute}, {"attention", info.attention}});
}

Json ResponseJson(const Response& r, const Json& id, const Json& runtime) {
  const Answer& first = r.answers.at(0);
  int64_t completion_tokens = 0;
  for (const Answer& answer : r.answers)
    completion_tokens += static_cast<int64_t>(answer.token_ids.size());
  Json json = {{"id", id},
               {"model", r.model},
               {"answer", first.text},
               {"finish_reason", FinishReasonName(first.finish_reason)},
               {"prompt_tokens", r.prompt_tokens},
               {"image_tokens", r.image_tokens},
               {"completion_tokens", completion_tokens},
               {"prompt_token_ids", r.prompt_token_ids},
               {"token_ids", first.token_ids},
               {"logprobs", LogprobsJson(first)},
               {"timings_ms", TimingsJson(r.timings)},
               {"cache", {{"image_hits", r.image_hits}, {"prefix_tokens", r.prefix_tokens}}}};
  json.update(runtime);
  json["interventions"] = InterventionsJson(r.interventions);
  if (!first.grounding.empty()) json["grounding"] = first.grounding;
  if (r.answers.size() > 1) {
    json["answers"] = Json::array();
    for (const Answer& answer : r.answers) json["answers"].push_back(AnswerJson(answer));
  }
  return json;
}

Json ErrorJson(const Error& error, const Json& id) {
  return {{"id", id}, {"error", {{"code", CodeName(error.code())}, {"message", error.message()}}}};
}

Json ModelJson(const ModelInfo& info) {
  Json parts = Json::array();
  for (const PartInfo& part : info.parts) {
    Json properties = Json::object();
    for (const auto& [key, value] : part.properties) properties[key] = value;
    parts.push_back({{"name", part.name},
                     {"type", part.type},
                     {"properties", properties},
                     {"parameters", part.parameters},
                     {"weight_bytes", part.weight_bytes},
                     {"activation_bytes", part.activation_bytes}});
  }
  Json tensors = Json::array();
  for (const TensorInfo& tensor : info.tensors)
    tensors.push_back({{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
  return {{"name", info.name},
          {"family", info.family},
          {"path", info.path},
          {"parameters", info.parameters},
          {"vocabulary", info.vocabulary},
          {"context_tokens", info.context_tokens},
          {"image_tokens", info.image_tokens},
          {"image_token_id", info.image_token_id},
          {"fusion", info.fusion},
          {"attention", info.attention},
          {"composite_layers", info.composite_layers},
          {"aligner", info.aligner},
          {"conversation", info.conversation},
          {"device", info.device},
          {"parts", parts},
          {"memory",
           {{"file_bytes", info.file_bytes},
            {"kv_bytes", info.kv_bytes},
            {"workspace_bytes", info.workspace_bytes},
            {"planned_bytes", info.planned_bytes}}},
          {"tensors", tensors}};
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace binocle::cli
