#include "service/engine/generation.h"

#include <algorithm>
#include <utility>

#include "service/engine/contrast.h"
#include "service/engine/generation_options.h"

namespace binocle {
namespace {

double MillisecondsSince(Generation::Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Generation::Clock::now() - start).count();
}

// The prompt without its pictures: what image-free guidance compares with.
ExpandedPrompt WithoutImages(const ExpandedPrompt& prompt) {
  ExpandedPrompt text;
  int64_t at = 0;
  const auto copy_to = [&](int64_t end) {
    text.ids.insert(text.ids.end(), prompt.ids.begin() + at, prompt.ids.begin() + end);
  };
  for (const ImageSpan& image : prompt.images) {
    copy_to(image.first_position);
    at = image.first_position + image.tokens;
  }
  copy_to(std::ssize(prompt.ids));
  if (text.ids.empty()) ThrowInvalid("guidance: nothing is left of the prompt without its picture");
  return text;
}

}  // namespace

Generation::Generation(const LoadedModel& loaded, const Request& request, const Observer& observer)
    : m_(loaded),
      request_(request),
      observer_(observer),
      prompt_(PreparePrompt(request, loaded.model, loaded.info.context_tokens)),
      response_{.id = request.id, .model = loaded.info.name},
      main_(loaded.pool) {
  response_.interventions = ResolveInterventions(request.interventions, m_.model.config().text,
                                                 m_.calibration, std::ssize(prompt_.images));
  const Interventions& applied = response_.interventions;
  if (applied.guidance) other_prompt_ = WithoutImages(prompt_.expanded);
  if (applied.vcd) other_prompt_ = prompt_.expanded;
  if (applied.guidance || applied.vcd) other_.emplace(m_.pool);
  response_.prompt_token_ids = prompt_.expanded.ids;
  response_.prompt_tokens = std::ssize(prompt_.expanded.ids);
  response_.image_tokens = std::ssize(prompt_.images) * m_.model.tokens_per_image();
}

std::vector<SharedImage> Generation::EncodeImages() {
  std::vector<SharedImage> images;
  ImageWatch watch{.dims = SinkDimsOf(response_.interventions, m_.calibration),
                   .inputs = input_observer_};
  for (size_t i = 0; i < prompt_.images.size(); ++i) {
    watch.first_position = prompt_.expanded.images[i].first_position;
    ImageEncoder::Encoded encoded =
        m_.images.Encode(m_.forward(), *prompt_.images[i], watch, response_.timings);
    response_.image_hits += encoded.cached ? 1 : 0;
    images.push_back(std::move(encoded.image));
  }
  return images;
}

void Generation::Watch(std::span<const SharedImage> images) {
  const Interventions& applied = response_.interventions;
  const LlamaConfig& config = m_.model.config().text;
  const bool measured = request_.grounding || row_observer_ != nullptr;
  WatchPlan plan = PlanWatch(applied, config, m_.calibration, measured);
  if (plan.empty() && input_observer_ == nullptr) return;
  if (plan.gain) {
    std::vector<const PatchAttention*> attention;
    for (const SharedImage& image : images) attention.push_back(&image->attention);
    plan.gain->key_gain = KeyGains(applied, prompt_.expanded, attention, m_.model.patch_places());
  }
  SequenceWatch::Layout layout{.prompt_tokens = response_.prompt_tokens,
                               .capacity = m_.info.context_tokens + 1,
                               .images = {}};
  for (const ImageSpan& image : prompt_.expanded.images)
    layout.images.push_back({image.first_position, image.tokens});
  main_.watch = std::make_unique<SequenceWatch>(config, std::move(plan), std::move(layout));
  main_.watch->set_observer(row_observer_);
  main_.watch->set_input_observer(input_observer_);
}

bool Generation::PrefillMain(std::span<const SharedImage> images, Logits& logits) {
  if (main_.watch != nullptr) {
    m_.prefix.Drop();
  } else if (auto kept = m_.prefix.Take(prompt_.expanded, images)) {
    main_.kv = std::move(*kept);
  }
  response_.prefix_tokens = main_.kv.length();
  if (!Prefill(m_.forward(), {prompt_.expanded, images}, main_, observer_.keep_going)) return false;
  logits.main.assign(m_.activations.logits.row(0),
                     m_.activations.logits.row(0) + m_.activations.logits.dim(1));
  return true;
}

bool Generation::PrefillOther(std::span<const SharedImage> images, Logits& logits) {
  std::vector<SharedImage> seen(images.begin(), images.end());
  if (const auto& vcd = response_.interventions.vcd) {
    TorchNormal normal(request_.generation.seed);
    for (size_t i = 0; i < seen.size(); ++i) {
      seen[i] = m_.images.EncodeNoised(m_.forward(), *prompt_.images[i], vcd->steps, normal,
                                       response_.timings);
    }
  }
  if (!Prefill(m_.forward(), {other_prompt_, seen}, *other_, observer_.keep_going)) return false;
  logits.other.assign(m_.activations.logits.row(0),
                      m_.activations.logits.row(0) + m_.activations.logits.dim(1));
  return true;
}

void Generation::Combine(Logits& logits) const {
  const Interventions& applied = response_.interventions;
  if (applied.guidance) Guide(*applied.guidance, logits.other, logits.main);
  if (applied.vcd) Contrast(*applied.vcd, logits.other, logits.main);
}

void Generation::Step(int32_t token, Logits& logits) {
  RunningSequence* both[] = {&main_, paired() ? &*other_ : nullptr};
  DecodeStep(m_.forward(), token, std::span(both).first(paired() ? 2 : 1));
  const Tensor& rows = m_.activations.logits;
  std::copy_n(rows.row(0), rows.dim(1), logits.main.begin());
  if (paired()) std::copy_n(rows.row(1), rows.dim(1), logits.other.begin());
}

double Generation::Grounding() const {
  const ImageCentric tests = ImageCentricOf(response_.interventions);
  double sum = 0;
  int64_t heads = 0;
  for (const SegmentMasses& m : main_.watch->masses()) {
    if (!tests.Has(m.visual(), m.content)) continue;
    sum += m.content;
    ++heads;
  }
  return heads > 0 ? sum / static_cast<double>(heads) : 0;
}

// Chooses a token from the combined logits, then steps, until the answer ends.
FinishReason Generation::Decode(AnswerBuilder& builder, Sampler& sampler, Logits logits) {
  const GenerationOptions& g = request_.generation;
  const int32_t usable = m_.model.tokenizer().vocabulary_size();
  while (true) {
    if (!going_on()) return FinishReason::kCancelled;
    if (before_token) before_token(builder.tokens());
    if (request_.grounding) builder.answer().grounding.push_back(Grounding());
    Combine(logits);
    if (g.logprobs > 0) {
      auto& step = builder.answer().logprobs.emplace_back();
      for (const TokenLogProb& p : LogProbs(logits.main, usable, g.logprobs))
        step.push_back({.id = p.id, .value = p.value});
    }
    const int32_t token = sampler.Sample(logits.main);
    times_.Record(builder.tokens() == 0);
    if (!builder.Push(token)) return FinishReason::kStop;
    if (builder.tokens() >= g.max_new_tokens || main_.kv.length() >= m_.info.context_tokens)
      return FinishReason::kLength;
    Step(token, logits);
  }
}

void Generation::KeepPrefix(std::vector<SharedImage> images) {
  std::vector<int32_t> ids = prompt_.expanded.ids;
  const std::vector<int32_t>& answer = response_.answers.back().token_ids;
  ids.insert(ids.end(), answer.begin(), answer.end());
  m_.prefix.Keep(std::move(main_.kv), std::move(ids), prompt_.expanded, std::move(images));
}

std::vector<double> Generation::Score(std::span<const SharedImage> images,
                                      std::span<const int32_t> tokens) {
  BINOCLE_CHECK(!paired(), "scores are of one sequence");
  Watch(images);
  Logits logits;
  if (!PrefillMain(images, logits)) return {};
  std::vector<double> scores;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!going_on()) return {};
    if (i > 0) Step(tokens[i - 1], logits);
    scores.push_back(LogProb(logits.main, m_.model.tokenizer().vocabulary_size(), tokens[i]));
  }
  return scores;
}

Response Generation::Run() {
  std::vector<SharedImage> images = EncodeImages();
  Watch(images);
  const auto prefill_start = Clock::now();
  Logits logits;
  const bool prefilled = PrefillMain(images, logits) && (!paired() || PrefillOther(images, logits));
  response_.timings.prefill = MillisecondsSince(prefill_start);

  std::vector<std::string> stops = request_.generation.stop;
  stops.insert(stops.end(), prompt_.stops.begin(), prompt_.stops.end());
  const std::vector<SegmentMasses> prompt_masses =
      main_.watch ? std::vector(main_.watch->masses().begin(), main_.watch->masses().end())
                  : std::vector<SegmentMasses>();
  for (int64_t i = 0; i < request_.generation.n; ++i) {
    AnswerBuilder builder(i, m_.model, stops, request_.prompt_format, observer_);
    if (!prefilled) {
      response_.answers.push_back(builder.Finish(FinishReason::kCancelled));
      continue;
    }
    Sampler sampler(SamplingOf(request_.generation, i), m_.model.tokenizer().vocabulary_size());
    sampler.Observe(prompt_.expanded.ids);
    main_.kv.Truncate(response_.prompt_tokens);
    if (main_.watch) main_.watch->set_masses(prompt_masses);
    if (paired()) other_->kv.Truncate(std::ssize(other_prompt_.ids));
    response_.answers.push_back(builder.Finish(Decode(builder, sampler, logits)));
  }
  response_.timings.total = MillisecondsSince(start_);
  if (prefilled && main_.watch == nullptr) KeepPrefix(std::move(images));
  times_.Report(start_, response_.timings);
  return std::move(response_);
}

}  // namespace binocle
