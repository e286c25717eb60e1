#include "service/engine/step_runner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "service/engine/contrast.h"
#include "service/engine/error_of.h"
#include "service/engine/step_passes.h"

namespace binocle {
namespace {

using Clock = LiveRequest::Clock;

// Positions of a lane's sequences from where they are computed to their end.
struct LaneRows {
  int64_t rows[2] = {};
  bool decoding = true;
};

LaneRows RowsOf(const Lane& lane) {
  LaneRows out;
  const auto add = [&](int s, const RunningSequence& sequence, const SequenceTokens& tokens) {
    out.rows[s] = RowsIn(tokens, sequence.computed, tokens.size());
    out.decoding = out.decoding && !lane.tokens.empty() && sequence.computed + 1 == tokens.size();
  };
  add(0, lane.sequences.main, lane.main_tokens());
  if (lane.sequences.other) add(1, *lane.sequences.other, lane.other_tokens());
  return out;
}

int64_t SequencesOf(const Lane& lane) { return lane.sequences.other ? 2 : 1; }

RunningSequence Fork(Exec& ex, const RunningSequence& from) {
  RunningSequence to(from.kv.Fork());
  to.computed = from.computed;
  if (from.watch) to.watch = from.watch->Clone(ex);
  return to;
}

LaneSequences Fork(Exec& ex, const LaneSequences& from) {
  return {.main = Fork(ex, from.main),
          .other = from.other ? std::optional(Fork(ex, *from.other)) : std::nullopt};
}

double Grounding(const Interventions& interventions, const SequenceWatch& watch) {
  const ImageCentric tests = ImageCentricOf(interventions);
  double sum = 0;
  int64_t heads = 0;
  for (const SegmentMasses& m : watch.masses()) {
    if (!tests.Has(m.visual(), m.content)) continue;
    sum += m.content;
    ++heads;
  }
  return heads > 0 ? sum / static_cast<double>(heads) : 0;
}

}  // namespace

// What the scheduler sees.
struct StepRunner::Views {
  std::vector<WaitingLane> waiting;
  std::vector<RunningLane> running;
  std::vector<KeptPrompt> prompts;
};

template <typename Action>
bool StepRunner::Guarded(LiveRequest& request, const Action& action) {
  const std::optional<Error> error = ErrorOf(action);
  if (error) request.Fail(*error);
  return !error;
}

void StepRunner::Add(std::shared_ptr<LiveRequest> request) {
  requests_.push_back(std::move(request));
}

int64_t StepRunner::running_lanes() const {
  int64_t count = 0;
  for (const auto& request : requests_) {
    count += std::count_if(request->lanes.begin(), request->lanes.end(),
                           [](const auto& lane) { return lane->running; });
  }
  return count;
}

void StepRunner::EndTheCancelledAndLate() {
  for (const auto& request : requests_) {
    const bool cancelled =
        request->cancelled->load() || (request->hooks.keep_going && !request->hooks.keep_going());
    if (cancelled) {
      request->Cancel();
    } else {
      Guarded(*request, [&] { CheckDeadline(request->asked()); });
    }
  }
  PutAsideTheEnded();
}

// Their sequences and kept prompts go, and with them their pages.
void StepRunner::PutAsideTheEnded() {
  for (auto& request : requests_) {
    if (!request->ended()) continue;
    request->lanes.clear();
    request->kept.reset();
    request->place.reset();
    ended_.push_back(std::move(request));
  }
  std::erase(requests_, nullptr);
}

void StepRunner::ReportEnds() {
  for (const auto& request : std::exchange(ended_, {})) request->Report();
}

void StepRunner::CancelAll() {
  for (const auto& request : requests_) request->Cancel();
  PutAsideTheEnded();
}

void StepRunner::Look(Views& views) {
  std::vector<const Lane*> waiting;
  for (const auto& request : requests_) {
    if (request->kept)
      views.prompts.push_back({.request = request->number, .arrival = request->number});
    for (const auto& lane : request->lanes) {
      if (lane->answer) continue;
      if (!lane->running) {
        waiting.push_back(lane.get());
        continue;
      }
      const LaneRows rows = RowsOf(*lane);
      const LaneSequences& s = lane->sequences;
      views.running.push_back(
          {.id = lane->id,
           .priority = request->asked().priority,
           .arrival = lane->id,
           .sequences = SequencesOf(*lane),
           .rows = {rows.rows[0], rows.rows[1]},
           .decoding = rows.decoding,
           .pages = rows.decoding
                        ? s.main.kv.PagesToExtend(1) + (s.other ? s.other->kv.PagesToExtend(1) : 0)
                        : 0,
           .pinned = request->hooks.watches()});
    }
  }
  std::sort(waiting.begin(), waiting.end(), [](const Lane* a, const Lane* b) {
    return std::pair(-a->request.asked().priority, a->id) <
           std::pair(-b->request.asked().priority, b->id);
  });
  int64_t candidates = budget_.sequences - std::ssize(views.running);
  for (const Lane* lane : waiting) {
    if (candidates-- <= 0) break;  // those after them cannot come in now
    const LiveRequest& request = lane->request;
    WaitingLane view{.id = lane->id,
                     .priority = request.asked().priority,
                     .arrival = lane->id,
                     .request = request.number,
                     .sequences = SequencesOf(*lane),
                     .has_images = request.has_images()};
    if (request.kept && lane->tokens.empty()) {
      view.pages = view.sequences;  // the last page of each is copied or a new one begun
    } else {
      const LaneRows rows = RowsOf(*lane);
      std::copy_n(rows.rows, 2, view.rows);
      view.pages = PagesFor(lane->main_tokens().size());
      if (lane->sequences.other) view.pages += PagesFor(lane->other_tokens().size());
      if (view.has_images && request.shareable())
        view.pages -= m_.prefix.PagesInUse(lane->main_tokens());
    }
    views.waiting.push_back(view);
  }
}

Lane* StepRunner::Find(int64_t id) {
  for (const auto& request : requests_) {
    if (request->number != id / LiveRequest::kMostAnswers) continue;
    for (const auto& lane : request->lanes)
      if (lane->id == id) return lane.get();
  }
  return nullptr;
}

void StepRunner::Preempt(Lane& lane) {
  lane.sequences = NewSequences(m_.pool, lane.request.paired());
  lane.sampled.reset();
  lane.running = false;
  ++counters_.preemptions;
}

// The plan of what is watched, for a sequence that begins.
void StepRunner::Watch(Lane& lane) {
  const LiveRequest& request = lane.request;
  const Interventions& applied = request.prepared->interventions;
  const LlamaConfig& config = m_.model.config().text;
  WatchPlan plan = request.watch_plan();
  if (plan.empty() && request.hooks.inputs == nullptr) return;
  const ExpandedPrompt& prompt = request.prepared->prompt.expanded;
  if (plan.gain) {
    std::vector<const PatchAttention*> attention;
    for (const SharedImage& image : request.images) attention.push_back(&image->attention);
    plan.gain->key_gain = KeyGains(applied, prompt, attention, m_.model.patch_places());
  }
  SequenceWatch::Layout layout{.prompt_tokens = std::ssize(prompt.ids),
                               .capacity = m_.info.context_tokens + 1,
                               .images = {}};
  for (const ImageSpan& image : prompt.images)
    layout.images.push_back({image.first_position, image.tokens});
  auto watch = std::make_unique<SequenceWatch>(config, std::move(plan), std::move(layout));
  watch->set_observer(request.hooks.rows);
  watch->set_input_observer(request.hooks.inputs);
  lane.sequences.main.watch = std::move(watch);
}

void StepRunner::BeginSequence(const SequenceTokens& tokens, bool shareable,
                               RunningSequence& sequence) {
  if (shareable) m_.prefix.Begin(tokens, sequence);
  Grow(tokens, sequence);
}

// Pages for all of its positions.
void StepRunner::Grow(const SequenceTokens& tokens, RunningSequence& sequence) {
  const int64_t missing = tokens.size() - sequence.kv.length();
  m_.prefix.Evict(sequence.kv.PagesToExtend(missing));
  sequence.kv.Extend(missing);
}

void StepRunner::Started(LiveRequest& request) {
  request.place.reset();
  if (!request.events.on_started) return;
  request.events.on_started({.prompt_tokens = request.response.prompt_tokens,
                             .image_tokens = request.response.image_tokens});
}

void StepRunner::Admit(Lane& lane) {
  LiveRequest& request = lane.request;
  lane.running = true;
  if (request.kept && lane.tokens.empty()) {
    const LiveRequest::KeptPrompt& kept = *request.kept;
    lane.sequences = Fork(m_.exec, kept.sequences);
    lane.logits = kept.logits;
    return;
  }
  Watch(lane);
  lane.sequences.main.states = request.hooks.states;
  BeginSequence(lane.main_tokens(), request.shareable(), lane.sequences.main);
  if (lane.index == 0 && lane.tokens.empty()) {
    request.response.prefix_tokens = lane.sequences.main.computed;
    counters_.prefix_tokens += lane.sequences.main.computed;
    if (!request.prefill_start) Started(request);
    request.prefill_start = Clock::now();
  }
  if (lane.sequences.other) BeginSequence(lane.other_tokens(), true, *lane.sequences.other);
}

void StepRunner::EncodeNext(LiveRequest& request) {
  PreparedRequest& prepared = *request.prepared;
  const size_t next = request.images.size();
  if (next < prepared.waiting_images.size()) {
    const ImageWatch watch{.dims = prepared.sink_dims,
                           .inputs = request.hooks.inputs,
                           .first_position = prepared.prompt.expanded.images[next].first_position};
    ImageEncoder::Encoded encoded = m_.images.Encode(
        m_.forward(), std::move(prepared.waiting_images[next]), watch, request.response.timings);
    request.response.image_hits += encoded.cached ? 1 : 0;
    request.images.push_back(std::move(encoded.image));
    if (request.has_images()) prepared.ahead.reset();
    return;
  }
  const size_t noised = request.other_images.size();
  request.other_images.push_back(
      m_.images.EncodeNoised(m_.forward(),
                             {.pixels = std::move(prepared.noised_pixels[noised]),
                              .plan = prepared.plan,
                              .steps = prepared.interventions.vcd->steps},
                             *request.noise, request.response.timings));
  if (request.has_images()) prepared.ahead.reset();
}

// The rows of the plan. Lanes whose request fails for want of pages are left out.
void StepRunner::Forward(const StepPlan& plan) {
  StepPasses passes(m_);
  for (const StepPlan::Rows& given : plan.rows) {
    Lane* lane = Find(given.lane);
    if (lane == nullptr || !lane->running || lane->request.ended()) continue;
    LaneSequences& s = lane->sequences;
    const bool fits = Guarded(lane->request, [&] {
      Grow(lane->main_tokens(), s.main);
      if (s.other) Grow(lane->other_tokens(), *s.other);
    });
    if (!fits) continue;
    passes.Add(*lane, s.main, lane->main_tokens(), given.rows[0], lane->logits.main);
    if (s.other)
      passes.Add(*lane, *s.other, lane->other_tokens(), given.rows[1], lane->logits.other);
    if (lane->tokens.empty()) counters_.prompt_rows += given.rows[0] + given.rows[1];
  }
  passes.Run();
}

// The prompt is computed: other requests may share its pages, and the other answers of its request begin from it.
void StepRunner::PromptComputed(Lane& lane) {
  LiveRequest& request = lane.request;
  request.response.timings.prefill +=
      std::chrono::duration<double, std::milli>(Clock::now() - *request.prefill_start).count();
  const LaneSequences& s = lane.sequences;
  if (request.shareable() && !request.hooks.scoring)
    m_.prefix.Keep(lane.main_tokens(), s.main.kv, s.main.computed / kPageTokens * kPageTokens);
  const int64_t answers = request.asked().generation.n;
  if (answers == 1) return;
  request.kept.emplace(LiveRequest::KeptPrompt{Fork(m_.exec, s), lane.logits});
  for (int64_t i = 1; i < answers; ++i)
    request.lanes.push_back(std::make_unique<Lane>(request, i, m_));
}

// The largest logit of a token that may come next: one of the tokenizer's, for a vocabulary may be padded, and one that the constraint
// allows.
float BestAllowed(const Lane& lane, int32_t usable) {
  const std::vector<float>& logits = lane.logits.main;
  if (!lane.constrained) return *std::max_element(logits.begin(), logits.begin() + usable);
  std::vector<float> allowed = logits;
  lane.constrained->Restrict(allowed);
  return *std::max_element(allowed.begin(), allowed.end());
}

// Combines the logits of the lane's sequences, then chooses a token.
void StepRunner::Choose(Lane& lane) {
  LiveRequest& request = lane.request;
  const GenerationOptions& g = request.asked().generation;
  if (lane.index == 0 && lane.tokens.empty() && std::ssize(request.lanes) == 1)
    PromptComputed(lane);
  if (request.hooks.logits) request.hooks.logits(lane.logits.main);
  if (request.hooks.scoring) return Score(lane);
  const RunningSequence& main = lane.sequences.main;
  if (request.hooks.before_token) request.hooks.before_token(lane.builder.tokens(), *main.watch);
  const Interventions& applied = request.prepared->interventions;
  Answer& answer = lane.builder.answer();
  if (request.asked().grounding) answer.grounding.push_back(Grounding(applied, *main.watch));
  LaneLogits& logits = lane.logits;
  const int32_t usable = m_.model.tokenizer().vocabulary_size();
  if (applied.guidance)
    Guide(*applied.guidance, BestAllowed(lane, usable), logits.other, logits.main);
  if (applied.vcd) Contrast(*applied.vcd, BestAllowed(lane, usable), logits.other, logits.main);
  if (g.logprobs > 0) {
    auto& step = answer.logprobs.emplace_back();
    step.reserve(static_cast<size_t>(g.logprobs));
    for (const TokenLogProb& p : LogProbs(lane.logits.main, usable, g.logprobs))
      step.push_back({.id = p.id, .value = p.value});
  }
  if (lane.constrained && !lane.sampled) lane.constrained->Restrict(lane.logits.main);
  const int32_t token = lane.sampled ? lane.sampler.Take(*std::exchange(lane.sampled, std::nullopt))
                                     : lane.sampler.Sample(lane.logits.main);
  request.times.Record(lane.tokens.empty());
  lane.tokens.push_back(token);
  ++counters_.answer_tokens;
  if (lane.constrained) lane.constrained->Push(token);
  if (!lane.builder.Push(token) || (lane.constrained && lane.constrained->Complete()))
    return End(lane, FinishReason::kStop);
  // The token that was chosen is the next position, computed or not.
  if (std::ssize(lane.tokens) >= g.max_new_tokens || main.computed + 1 >= m_.info.context_tokens)
    End(lane, FinishReason::kLength);
}

// Takes the next token of those that are given, and notes how probable it was.
void StepRunner::Score(Lane& lane) {
  const RequestHooks::Scoring& scoring = *lane.request.hooks.scoring;
  const size_t at = lane.tokens.size();
  if (at < scoring.tokens.size()) {
    const int32_t token = scoring.tokens[at];
    const int32_t usable = m_.model.tokenizer().vocabulary_size();
    scoring.scores->push_back(LogProb(lane.logits.main, usable, token));
    lane.tokens.push_back(token);
  }
  if (lane.tokens.size() == scoring.tokens.size()) End(lane, FinishReason::kStop);
}

// The answer is there: its pages go back, but for what later prompts may begin with.
void StepRunner::End(Lane& lane, FinishReason reason) {
  LiveRequest& request = lane.request;
  lane.answer = lane.builder.Finish(reason);
  RunningSequence& main = lane.sequences.main;
  if (request.shareable() && !request.hooks.scoring)
    m_.prefix.Keep(lane.main_tokens(), main.kv, main.computed);
  if (request.hooks.take_watch) {
    if (main.watch) main.watch->FetchClasses(m_.exec);  // while this thread has the device
    request.hooks.take_watch(std::move(main.watch));
  }
  lane.sequences = NewSequences(m_.pool, request.paired());
  // Of many answers to one question those that have ended wait for the others.
  lane.logits = {};
  lane.sampler.Free();
  lane.running = false;
}

void StepRunner::MakeRoom(const StepPlan& plan) {
  if (plan.drop_prompt) {
    const auto owner = std::find_if(requests_.begin(), requests_.end(), [&](const auto& request) {
      return request->number == *plan.drop_prompt;
    });
    (*owner)->kept.reset();
  }
  if (plan.preempt) Preempt(*Find(*plan.preempt));
  if (!plan.starved) return;
  Lane& lane = *Find(*plan.starved);
  lane.request.Fail(lane.TooLargeFor(m_.pool.pages()));
  PutAsideTheEnded();
}

void StepRunner::Execute(const StepPlan& plan) {
  if (plan.encode) {
    LiveRequest& request = Find(*plan.encode)->request;
    Guarded(request, [&] { EncodeNext(request); });
  }
  for (const int64_t id : plan.admit) {
    Lane& lane = *Find(id);
    if (!lane.request.ended()) Guarded(lane.request, [&] { Admit(lane); });
  }
  Forward(plan);
}

void StepRunner::ChooseTokens() {
  for (const auto& request : requests_) {
    // Choosing the first token of the first answer brings the other answers into being.
    for (size_t i = 0; i < request->lanes.size() && !request->ended(); ++i) {
      Lane& lane = *request->lanes[i];
      if (!lane.running || lane.answer) continue;
      const LaneSequences& s = lane.sequences;
      const bool computed = s.main.computed == lane.main_tokens().size() &&
                            (!s.other || s.other->computed == lane.other_tokens().size());
      if (computed) Guarded(*request, [&] { Choose(lane); });
    }
    if (request->ended()) continue;
    const bool all_begun =
        std::none_of(request->lanes.begin(), request->lanes.end(),
                     [](const auto& lane) { return lane->tokens.empty() && !lane->answer; });
    if (all_begun) request->kept.reset();
    if (request->done()) request->Finish();
  }
}

StepPlan StepRunner::Plan() {
  Views views;
  Look(views);
  return Schedule({.waiting = views.waiting,
                   .running = views.running,
                   .prompts = views.prompts,
                   .free_pages = m_.pool.free_pages(),
                   .evictable_pages = m_.prefix.evictable_pages()},
                  budget_);
}

void StepRunner::Step() {
  EndTheCancelledAndLate();
  StepPlan plan = Plan();
  for (; plan.makes_room(); plan = Plan()) MakeRoom(plan);
  if (requests_.empty()) return;
  if (plan.empty()) {  // would be a defect of the scheduler, and must not become a loop
    requests_.front()->Fail(Error(Code::kInternal, "request: the scheduler finds nothing to do"));
  } else {
    Execute(plan);
    ChooseTokens();
    ++counters_.steps;
  }
  PutAsideTheEnded();
}

}  // namespace binocle
