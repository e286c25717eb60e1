#include "service/client/from_proto.h"

#include <algorithm>
#include <utility>

namespace binocle {
namespace {

constexpr int64_t kMaxAnswers = 1024;  // a server that names more is none of ours

FinishReason ReasonFrom(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_LENGTH: return FinishReason::kLength;
    case v1::FINISH_REASON_CANCELLED: return FinishReason::kCancelled;
    default: return FinishReason::kStop;
  }
}

Timings TimingsFrom(const v1::Timings& from) {
  return {.load = from.load(),
          .decode = from.decode(),
          .anchor = from.anchor(),
          .augment = from.augment(),
          .fusion = from.fusion(),
          .prefill = from.prefill(),
          .first_token = from.first_token(),
          .total = from.total(),
          .per_token = from.per_token()};
}

void TakeUsage(const v1::Usage& from, Response& to) {
  to.prompt_tokens = from.prompt_tokens();
  to.image_tokens = from.image_tokens();
  to.prefix_tokens = from.prefix_tokens();
  to.image_hits = from.image_hits();
}

// Logprobs and grounding, which Answer and AnswerEnd both have.
template <typename Proto>
void TakeSteps(const Proto& from, Answer& to) {
  for (const v1::TokenLogProbabilities& step : from.logprobs()) {
    auto& added = to.logprobs.emplace_back();
    for (const v1::TokenLogProbability& token : step.tokens())
      added.push_back({.id = token.id(), .value = token.value()});
  }
  to.grounding.assign(from.grounding().begin(), from.grounding().end());
}

Layers LayersFrom(const v1::Layers& from) { return {.first = from.first(), .last = from.last()}; }

InterventionStart StartFrom(v1::InterventionStart start) {
  return start == v1::INTERVENTION_START_DECODE ? InterventionStart::kDecode
                                                : InterventionStart::kPrefill;
}

VarOptions VarFrom(const v1::Var& from) {
  VarOptions to;
  to.p = from.p();
  to.rho = from.rho();
  if (from.has_tau()) to.tau = from.tau();
  to.mass = from.mass();
  if (from.has_layers()) to.layers = LayersFrom(from.layers());
  to.dims.assign(from.dims().begin(), from.dims().end());
  if (from.compat() == v1::VAR_COMPAT_RELEASE) to.compat = VarOptions::Compat::kRelease;
  return to;
}

ModulationOptions ModulationFrom(const v1::Modulate& from) {
  ModulationOptions to;
  to.alpha = from.alpha();
  to.beta = from.beta();
  to.local = from.local();
  to.spatial = from.spatial();
  if (from.has_layers()) to.layers = LayersFrom(from.layers());
  if (from.heads() == v1::MODULATION_HEADS_CALIBRATED)
    to.heads = ModulationOptions::Heads::kCalibrated;
  to.start = StartFrom(from.start());
  return to;
}

}  // namespace

Interventions InterventionsFrom(const v1::Interventions& from) {
  Interventions to;
  if (from.has_var()) to.var = VarFrom(from.var());
  if (from.has_modulate()) to.modulate = ModulationFrom(from.modulate());
  if (from.has_pai()) {
    PaiOptions& pai = to.pai.emplace();
    pai.alpha = from.pai().alpha();
    if (from.pai().has_layers()) pai.layers = LayersFrom(from.pai().layers());
    pai.start = StartFrom(from.pai().start());
  }
  if (from.has_guidance())
    to.guidance = {.gamma = from.guidance().gamma(), .cut = from.guidance().cut()};
  if (from.has_vcd()) {
    to.vcd = {.alpha = from.vcd().alpha(), .beta = from.vcd().beta(), .steps = from.vcd().steps()};
  }
  return to;
}

Response ResponseFrom(const v1::AskResponse& from) {
  Response to;
  to.id = from.id();
  to.model = from.model();
  TakeUsage(from.usage(), to);
  to.timings = TimingsFrom(from.timings());
  for (const v1::Answer& answer : from.answers()) {
    Answer& added = to.answers.emplace_back();
    added.text = answer.text();
    added.finish_reason = ReasonFrom(answer.finish_reason());
    added.token_ids.assign(answer.token_ids().begin(), answer.token_ids().end());
    TakeSteps(answer, added);
  }
  to.prompt_token_ids.assign(from.prompt_token_ids().begin(), from.prompt_token_ids().end());
  to.interventions = InterventionsFrom(from.interventions());
  return to;
}

Embedding EmbeddingFrom(const v1::Embedding& from, Pooling pooling) {
  return {.rows = from.rows(),
          .width = from.width(),
          .values = {from.values().begin(), from.values().end()},
          .tokens = pooling == Pooling::kTokens ? from.rows() : 0};
}

ModelSummary ModelSummaryFrom(const v1::ModelSummary& from) {
  return {.name = from.name(),
          .family = from.family(),
          .parameters = from.parameters(),
          .context_tokens = from.context_tokens(),
          .image_tokens = from.image_tokens()};
}

ModelInfo ModelInfoFrom(const v1::Model& from) {
  ModelInfo to;
  to.name = from.name();
  to.family = from.family();
  for (const v1::Part& part : from.parts()) {
    PartInfo& added = to.parts.emplace_back();
    added.name = part.name();
    added.type = part.type();
    for (const v1::PartProperty& property : part.properties())
      added.properties.emplace_back(property.name(), property.value());
    added.parameters = part.parameters();
    added.weight_bytes = part.weight_bytes();
    added.activation_bytes = part.activation_bytes();
  }
  for (const v1::Tensor& tensor : from.tensors()) {
    to.tensors.push_back({.name = tensor.name(),
                          .dtype = tensor.dtype(),
                          .shape = {tensor.shape().begin(), tensor.shape().end()}});
  }
  to.vocabulary = from.vocabulary();
  to.context_tokens = from.context_tokens();
  to.image_tokens = from.image_tokens();
  to.image_token_id = from.image_token_id();
  to.attention = from.attention();
  to.aligner = from.aligner();
  to.composite_layers.assign(from.composite_layers().begin(), from.composite_layers().end());
  to.fusion = from.fusion();
  to.conversation = from.conversation();
  to.file_bytes = from.file_bytes();
  to.kv_bytes = from.kv_bytes();
  to.planned_bytes = from.planned_bytes();
  to.workspace_bytes = from.workspace_bytes();
  to.parameters = from.parameters();
  return to;
}

ServerStatus ServerStatusFrom(const v1::GetServerInfoResponse& from) {
  const v1::ServerLimits& limits = from.limits();
  const v1::ImageStoreInfo& images = from.images();
  return {.version = from.version(),
          .start_time = from.start_time(),
          .in_flight = from.in_flight(),
          .draining = from.draining(),
          .limits = {.max_message_bytes = limits.max_message_bytes(),
                     .max_images = limits.max_images(),
                     .max_image_bytes = limits.max_image_bytes(),
                     .max_request_image_bytes = limits.max_request_image_bytes(),
                     .max_image_pixels = limits.max_image_pixels(),
                     .max_messages = limits.max_messages(),
                     .max_prompt_bytes = limits.max_prompt_bytes()},
          .images = {.entries = images.entries(),
                     .bytes = images.bytes(),
                     .budget_bytes = images.budget_bytes(),
                     .hits = images.hits(),
                     .misses = images.misses(),
                     .evictions = images.evictions()}};
}

void StreamedResponse::Add(const v1::GenerateStarted& started) {
  response_.id = started.id();
  response_.model = started.model();
  response_.prompt_tokens = started.prompt_tokens();
  response_.image_tokens = started.image_tokens();
}

Delta StreamedResponse::Add(const v1::GenerateDelta& from) {
  Delta delta{.answer = from.answer(),
              .text = from.text(),
              .token_ids = {from.token_ids().begin(), from.token_ids().end()}};
  Answer& answer = AnswerAt(delta.answer);
  answer.text += from.text();
  answer.token_ids.insert(answer.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  return delta;
}

void StreamedResponse::Add(const v1::GenerateFinished& finished) {
  TakeUsage(finished.usage(), response_);
  response_.timings = TimingsFrom(finished.timings());
  for (int i = 0; i < finished.answers_size(); ++i) {
    Answer& answer = AnswerAt(i);
    answer.finish_reason = ReasonFrom(finished.answers(i).finish_reason());
    TakeSteps(finished.answers(i), answer);
  }
  response_.interventions = InterventionsFrom(finished.interventions());
  finished_ = true;
}

Response StreamedResponse::Take() {
  AnswerAt(0);
  return std::move(response_);
}

Answer& StreamedResponse::AnswerAt(int64_t index) {
  const auto at = static_cast<size_t>(std::clamp<int64_t>(index, 0, kMaxAnswers));
  while (response_.answers.size() <= at)
    response_.answers.emplace_back().finish_reason = FinishReason::kCancelled;
  return response_.answers[at];
}

}  // namespace binocle
