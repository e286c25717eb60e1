#include "service/engine/live_request.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "service/engine/generation_options.h"

namespace binocle {
namespace {

double Milliseconds(LiveRequest::Clock::duration passed) {
  return std::chrono::duration<double, std::milli>(passed).count();
}

std::vector<std::string> StopsOf(const PreparedRequest& prepared) {
  std::vector<std::string> stops = prepared.request.generation.stop;
  stops.insert(stops.end(), prepared.prompt.stops.begin(), prepared.prompt.stops.end());
  return stops;
}

}  // namespace

LaneSequences NewSequences(KvPool& pool, bool paired) {
  LaneSequences sequences{.main = RunningSequence(KvSequence(pool)), .other = {}};
  if (paired) sequences.other.emplace(KvSequence(pool));
  return sequences;
}

Lane::Lane(LiveRequest& of, int64_t answer_index, const LoadedModel& m)
    : request(of),
      index(answer_index),
      id(of.number * LiveRequest::kMostAnswers + answer_index),
      sequences(NewSequences(m.pool, of.paired())),
      sampler(SamplingOf(of.asked().generation, answer_index),
              m.model.tokenizer().vocabulary_size()),
      builder(answer_index, m.model, StopsOf(*of.prepared), of.asked().prompt_format,
              of.observer_) {
  if (of.prepared->constraint) constrained.emplace(of.prepared->constraint);
  sampler.Observe(of.prepared->prompt.expanded.ids);
}

SequenceTokens Lane::main_tokens() const {
  return {request.prepared->prompt.expanded, request.images, tokens, request.prepared->plan};
}

bool Lane::only_samples() const {
  const GenerationOptions& g = request.asked().generation;
  const RequestHooks& hooks = request.hooks;
  return !request.paired() && g.logprobs == 0 && g.n == 1 && !hooks.logits && !hooks.scoring;
}

SequenceTokens Lane::other_tokens() const {
  const bool noised = !request.other_images.empty();
  return {request.prepared->other_prompt, noised ? request.other_images : request.images, tokens,
          request.prepared->plan};
}

Error DeadlinePassed() {
  return {Code::kDeadlineExceeded, "request: its deadline passed before it was done"};
}

void CheckDeadline(const Request& request) {
  if (request.deadline && LiveRequest::Clock::now() >= *request.deadline) throw DeadlinePassed();
}

// A sequence alone has room for its context; a pair may never have, so that is about what makes it one and not about the moment.
Error Lane::TooLargeFor(int64_t pages) const {
  const std::string rest =
      internal::Concat(" of ", main_tokens().size(), " tokens and more: too much for the ", pages,
                       " pages of keys and values; kv_tokens says how many there are");
  if (!request.paired()) return {Code::kResourceExhausted, "request: a prompt and answer" + rest};
  const std::string option = request.prepared->interventions.vcd ? "vcd" : "guidance";
  return {Code::kResourceExhausted, option + " takes room for two sequences" + rest, option};
}

LiveRequest::LiveRequest(const LoadedModel& loaded, std::unique_ptr<PreparedRequest> request,
                         SubmissionEvents reported, RequestHooks asked_hooks, int64_t n)
    : prepared(std::move(request)),
      events(std::move(reported)),
      hooks(std::move(asked_hooks)),
      number(n),
      images(prepared->images),
      response{.id = prepared->request.id, .model = loaded.info.name},
      observer_{.on_delta = events.on_delta, .keep_going = {}} {
  if (prepared->interventions.vcd) noise.emplace(prepared->request.generation.seed);
  const ExpandedPrompt& prompt = prepared->prompt.expanded;
  const bool measured = prepared->request.grounding || hooks.rows != nullptr;
  watch_plan_ =
      PlanWatch(prepared->interventions, loaded.model.config().text, loaded.calibration, measured);
  if ((!watch_plan_.empty() || hooks.watches()) && loaded.model.config().text.share.ranks > 1) {
    Throw(Code::kUnimplemented,
          "request: attention cannot be watched or changed where the heads are divided among ",
          loaded.model.config().text.share.ranks,
          " processes (tensor_parallel), expected none of: interventions but guidance and vcd, "
          "grounding, explanations");
  }
  shareable_ = watch_plan_.empty() && hooks.inputs == nullptr && hooks.states == nullptr;
  response.interventions = prepared->interventions;
  response.prompt_token_ids = prompt.ids;
  response.prompt_tokens = std::ssize(prompt.ids);
  for (const ImageSpan& image : prompt.images) response.image_tokens += image.tokens;
  lanes.push_back(std::make_unique<Lane>(*this, 0, loaded));
}

bool LiveRequest::has_images() const {
  const size_t wanted = prepared->waiting_images.size();
  return images.size() >= wanted && (!noise || other_images.size() == wanted);
}

bool LiveRequest::done() const {
  return std::ssize(lanes) == asked().generation.n &&
         std::all_of(lanes.begin(), lanes.end(),
                     [](const auto& lane) { return lane->answer.has_value(); });
}

void LiveRequest::Finish() {
  ended_ = true;
  for (auto& lane : lanes) response.answers.push_back(std::move(*lane->answer));
  response.timings.total = Milliseconds(Clock::now() - prepared->start);
  times.Report(prepared->start, response.timings);
}

void LiveRequest::Cancel() {
  for (auto& lane : lanes)
    if (!lane->answer) lane->answer = lane->builder.Finish(FinishReason::kCancelled);
  Finish();
  Answer none;
  none.finish_reason = FinishReason::kCancelled;
  response.answers.resize(static_cast<size_t>(asked().generation.n), none);
}

void LiveRequest::Fail(const Error& error) {
  ended_ = true;
  error_ = error;
}

void LiveRequest::Report() {
  if (error_) {
    if (events.on_error) events.on_error(*error_);
  } else if (events.on_finished) {
    events.on_finished(std::move(response));
  }
}

}  // namespace binocle
