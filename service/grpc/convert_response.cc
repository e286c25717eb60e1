#include "service/grpc/convert_response.h"

#include <cstdint>
#include <iterator>

#include "service/common/text.h"
#include "service/grpc/convert_interventions.h"

namespace binocle {
namespace {

v1::FinishReason ReasonOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return v1::FINISH_REASON_STOP;
    case FinishReason::kLength: return v1::FINISH_REASON_LENGTH;
    case FinishReason::kCancelled: return v1::FINISH_REASON_CANCELLED;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

v1::FinishReason FirstReasonOf(const Response& response) {
  return response.answers.empty() ? v1::FINISH_REASON_CANCELLED
                                  : ReasonOf(response.answers[0].finish_reason);
}

v1::Usage UsageOf(const Response& response) {
  v1::Usage usage;
  usage.set_prompt_tokens(Int32(response.prompt_tokens));
  usage.set_image_tokens(Int32(response.image_tokens));
  int64_t completion = 0;
  for (const Answer& answer : response.answers) completion += std::ssize(answer.token_ids);
  usage.set_completion_tokens(Int32(completion));
  usage.set_prefix_tokens(Int32(response.prefix_tokens));
  usage.set_image_hits(Int32(response.image_hits));
  return usage;
}

v1::Timings TimingsOf(const Timings& timings) {
  v1::Timings to;
  to.set_load(timings.load);
  to.set_decode(timings.decode);
  to.set_anchor(timings.anchor);
  to.set_augment(timings.augment);
  to.set_fusion(timings.fusion);
  to.set_prefill(timings.prefill);
  to.set_first_token(timings.first_token);
  to.set_total(timings.total);
  to.set_per_token(timings.per_token);
  return to;
}

// Logprobs and grounding, which Answer and AnswerEnd both have.
template <typename Proto>
void AddSteps(const Answer& answer, Proto& to) {
  for (const auto& step : answer.logprobs) {
    auto& tokens = *to.add_logprobs();
    for (const TokenLogProbability& token : step) {
      auto& added = *tokens.add_tokens();
      added.set_id(token.id);
      added.set_value(token.value);
    }
  }
  to.mutable_grounding()->Add(answer.grounding.begin(), answer.grounding.end());
}

v1::Part PartOf(const PartInfo& from) {
  v1::Part to;
  to.set_name(from.name);
  to.set_type(from.type);
  for (const auto& [name, value] : from.properties) {
    auto& property = *to.add_properties();
    property.set_name(name);
    property.set_value(ValidUtf8(value));
  }
  to.set_parameters(from.parameters);
  to.set_weight_bytes(from.weight_bytes);
  to.set_activation_bytes(from.activation_bytes);
  return to;
}

}  // namespace

v1::AskResponse AskResponseOf(const Response& response, const std::string& model) {
  v1::AskResponse to;
  to.set_id(response.id);
  to.set_model(model);
  to.set_finish_reason(FirstReasonOf(response));
  if (!response.answers.empty()) to.set_answer(ValidUtf8(response.answers[0].text));
  *to.mutable_usage() = UsageOf(response);
  *to.mutable_timings() = TimingsOf(response.timings);
  for (const Answer& answer : response.answers) {
    v1::Answer& added = *to.add_answers();
    added.set_text(ValidUtf8(answer.text));
    added.set_finish_reason(ReasonOf(answer.finish_reason));
    added.mutable_token_ids()->Add(answer.token_ids.begin(), answer.token_ids.end());
    AddSteps(answer, added);
  }
  to.mutable_prompt_token_ids()->Add(response.prompt_token_ids.begin(),
                                     response.prompt_token_ids.end());
  *to.mutable_interventions() = InterventionsToProto(response.interventions);
  return to;
}

v1::GenerateResponse StartedOf(const Started& started, const std::string& id,
                               const std::string& model) {
  v1::GenerateResponse to;
  to.mutable_started()->set_id(id);
  to.mutable_started()->set_model(model);
  to.mutable_started()->set_prompt_tokens(Int32(started.prompt_tokens));
  to.mutable_started()->set_image_tokens(Int32(started.image_tokens));
  return to;
}

v1::GenerateResponse DeltaOf(const Delta& delta) {
  v1::GenerateResponse to;
  to.mutable_delta()->set_answer(Int32(delta.answer));
  to.mutable_delta()->set_text(ValidUtf8(delta.text));
  to.mutable_delta()->mutable_token_ids()->Add(delta.token_ids.begin(), delta.token_ids.end());
  return to;
}

v1::GenerateResponse FinishedOf(const Response& response) {
  v1::GenerateResponse to;
  v1::GenerateFinished& finished = *to.mutable_finished();
  finished.set_finish_reason(FirstReasonOf(response));
  *finished.mutable_usage() = UsageOf(response);
  *finished.mutable_timings() = TimingsOf(response.timings);
  for (const Answer& answer : response.answers) {
    v1::AnswerEnd& added = *finished.add_answers();
    added.set_finish_reason(ReasonOf(answer.finish_reason));
    added.set_completion_tokens(Int32(std::ssize(answer.token_ids)));
    AddSteps(answer, added);
  }
  *finished.mutable_interventions() = InterventionsToProto(response.interventions);
  return to;
}

v1::Embedding EmbeddingToProto(const Embedding& embedding) {
  v1::Embedding to;
  to.set_rows(Int32(embedding.rows));
  to.set_width(Int32(embedding.width));
  to.mutable_values()->Add(embedding.values.begin(), embedding.values.end());
  return to;
}

v1::ModelSummary ModelSummaryOf(const ModelInfo& info, const std::string& model) {
  v1::ModelSummary to;
  to.set_name(model);
  to.set_family(info.family);
  to.set_parameters(info.parameters);
  to.set_context_tokens(Int32(info.context_tokens));
  to.set_image_tokens(Int32(info.image_tokens));
  return to;
}

v1::Model ModelOf(const ModelInfo& info, const std::string& model, WithTensors tensors) {
  v1::Model to;
  to.set_name(model);
  to.set_family(info.family);
  for (const PartInfo& part : info.parts) *to.add_parts() = PartOf(part);
  for (const TensorInfo& tensor : info.tensors) {
    if (tensors == WithTensors::kNo) break;
    v1::Tensor& added = *to.add_tensors();
    added.set_name(ValidUtf8(tensor.name));
    added.set_dtype(tensor.dtype);
    added.mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  }
  to.set_vocabulary(Int32(info.vocabulary));
  to.set_context_tokens(Int32(info.context_tokens));
  to.set_image_tokens(Int32(info.image_tokens));
  to.set_image_token_id(info.image_token_id);
  to.set_attention(info.attention);
  to.set_aligner(info.aligner);
  for (const int64_t layer : info.composite_layers) to.add_composite_layers(Int32(layer));
  to.set_fusion(info.fusion);
  to.set_conversation(info.conversation);
  to.set_file_bytes(info.file_bytes);
  to.set_kv_bytes(info.kv_bytes);
  to.set_planned_bytes(info.planned_bytes);
  to.set_workspace_bytes(info.workspace_bytes);
  to.set_parameters(info.parameters);
  return to;
}

}  // namespace binocle
