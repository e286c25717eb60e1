#include "llm/sequence_watch.h"

#include <algorithm>

namespace binocle {

SequenceWatch::SequenceWatch(const LlamaConfig& config, WatchPlan plan, Layout layout)
    : config_(config),
      plan_(std::move(plan)),
      layout_(std::move(layout)),
      classes_(static_cast<size_t>(config.layers),
               std::vector<uint8_t>(static_cast<size_t>(layout_.capacity))),
      has_visual_sink_(static_cast<size_t>(config.layers)),
      gain_(plan_.gain ? plan_.gain->key_gain : std::vector<float>()),
      masses_(static_cast<size_t>(config.layers * config.heads)) {
  gain_.resize(static_cast<size_t>(layout_.capacity));
  int64_t visual = 0;
  for (const ImagePlace& image : layout_.images) {
    after_images_ = std::max(after_images_, image.first_position + image.tokens);
    visual += image.tokens;
    for (auto& classes : classes_)
      std::fill_n(classes.begin() + image.first_position, image.tokens, kVisualKey);
  }
  if (plan_.var) plan_.var->params.visual_keys = static_cast<float>(visual);
}

std::unique_ptr<SequenceWatch> SequenceWatch::Clone() const {
  auto clone = std::make_unique<SequenceWatch>(config_, plan_, layout_);
  clone->classes_ = classes_;
  clone->has_visual_sink_ = has_visual_sink_;
  clone->masses_ = masses_;
  clone->observer_ = observer_;
  clone->input_observer_ = input_observer_;
  return clone;
}

bool SequenceWatch::IsSink(const SinkScore& score) const {
  if (plan_.dims.empty()) return false;
  if (plan_.var && plan_.var->form.strict_phi) return score.released_phi() > plan_.tau;
  return score.phi() >= plan_.tau;
}

void SequenceWatch::Mark(int64_t layer, int64_t position, const SinkScore& score) {
  uint8_t& c = classes_[static_cast<size_t>(layer)][static_cast<size_t>(position)];
  const bool prompt_only = plan_.var && plan_.var->form.prompt_sinks_only;
  const bool may_be_sink = !prompt_only || position < layout_.prompt_tokens;
  const bool sink = may_be_sink && IsSink(score);
  c = static_cast<uint8_t>((c & kVisualKey) | (sink ? kSinkKey : 0));
  if (c == (kVisualKey | kSinkKey)) has_visual_sink_[static_cast<size_t>(layer)] = 1;
}

void SequenceWatch::PutImage(const ImageKv& image, int64_t first_position) {
  if (plan_.dims.empty()) return;
  BINOCLE_CHECK(image.sink_dims == plan_.dims, "an image scored with other sink dimensions");
  for (size_t l = 0; l < image.sinks.size(); ++l) {
    for (size_t i = 0; i < image.sinks[l].size(); ++i)
      Mark(static_cast<int64_t>(l), first_position + static_cast<int64_t>(i), image.sinks[l][i]);
  }
}

void SequenceWatch::EnterLayer(Exec& ex, int64_t layer, const QueryRun& run, const TensorView& x) {
  const TensorView rows = x.Rows(run.first_row, run.first_row + run.rows);
  place_ = x.on_cuda() ? ex.place() : Place{};
  if (input_observer_ != nullptr) ShowInput(ex, *input_observer_, layer, run.first_position, rows);
  if (plan_.dims.empty()) return;
  scores_.resize(static_cast<size_t>(run.rows));
  ScoreSinks(ex, rows, plan_.dims, scores_);
  for (int64_t i = 0; i < run.rows; ++i)
    Mark(layer, run.first_position + i, scores_[static_cast<size_t>(i)]);
}

// The layer's policies: for rows under VAR, and for the row that gives logits, measured with or without VAR.
void SequenceWatch::SetPolicies(int64_t layer, int64_t rows) {
  var_policy_ = {.classes = classes(layer), .rule = nullptr, .params = {}, .masses = {}};
  if (plan_.var && plan_.var->layers.Has(layer)) {
    const VarForm& form = plan_.var->form;
    const bool left_alone =
        form.needs_visual_sink && has_visual_sink_[static_cast<size_t>(layer)] == 0;
    if (!left_alone)
      var_policy_.rule = form.rho_bounds_sinks ? &VarBySinkShare : &VarByContentShare;
    var_policy_.params = plan_.var->params;
  }
  measured_policy_ = {.classes = classes(layer), .rule = nullptr, .params = {}, .masses = {}};
  ruled_and_measured_policy_ = var_policy_;
  if (!plan_.measure || !plan_.measure->Has(layer)) return;
  if (row_masses_.empty() || row_masses_.dim(0) < rows)
    row_masses_ = Tensor::F32({rows, 3 * config_.heads}, "masses", place_);
  measured_policy_.masses = row_masses_;
  ruled_and_measured_policy_.masses = row_masses_;
}

// `run` is one row, which gives logits.
QueryRun SequenceWatch::LastRow(int64_t layer, const QueryRun& run) const {
  QueryRun last = run;
  if (!measured_policy_.masses.empty())
    last.segments = run.segments == nullptr ? &measured_policy_ : &ruled_and_measured_policy_;
  const bool gained = plan_.gain && plan_.gain->layers.Has(layer) &&
                      (!plan_.gain->from_decode || run.first_position >= layout_.prompt_tokens);
  if (!gained) return last;
  std::span<const float> factors = plan_.gain->head_factor;
  if (!factors.empty())
    factors = factors.subspan(static_cast<size_t>(layer * config_.heads),
                              static_cast<size_t>(config_.heads));
  last.variant = KeyGain{gain_, factors};
  return last;
}

void SequenceWatch::Cut(int64_t layer, Rows rows, const QueryRun& run, std::vector<QueryRun>& out) {
  SetPolicies(layer, run.first_row + run.rows);
  const auto part = [&](int64_t begin, int64_t end) {  // positions
    QueryRun piece = run;
    piece.first_row += begin - run.first_position;
    piece.first_position = begin;
    piece.rows = end - begin;
    return piece;
  };
  const int64_t end = run.first_position + run.rows;
  // Rows before `ruled` keep plain attention; those from `logits` on give logits, one by one.
  int64_t ruled = var_policy_.rule == nullptr || rows == Rows::kVisual ? end : run.first_position;
  if (plan_.var && plan_.var->form.rows_after_pictures)
    ruled = std::clamp(std::max(ruled, after_images_), run.first_position, end);
  const int64_t logits = std::clamp(layout_.prompt_tokens - 1, run.first_position, end);
  const int64_t plain_end = std::min(ruled, logits);
  if (run.first_position < plain_end) out.push_back(part(run.first_position, plain_end));
  if (plain_end < logits) {
    out.push_back(part(plain_end, logits));
    out.back().segments = &var_policy_;
  }
  for (int64_t p = logits; p < end; ++p) {
    QueryRun row = part(p, p + 1);
    if (p >= ruled) row.segments = &var_policy_;
    out.push_back(LastRow(layer, row));
  }
}

void SequenceWatch::Attended(Exec& ex, int64_t layer, const AttentionArgs& args,
                             const QueryRun& run, const TensorView& lse) {
  if (!GivesLogits(run.first_position)) return;
  if (run.segments == &measured_policy_ || run.segments == &ruled_and_measured_policy_) {
    Tensor copy;
    const TensorView of_row = row_masses_.view().Rows(run.first_row, run.first_row + 1);
    const float* m = OnHost(ex, of_row, copy).f32();
    for (int64_t h = 0; h < config_.heads; ++h, m += 3)
      masses_[static_cast<size_t>(layer * config_.heads + h)] = {m[0], m[1], m[2]};
  }
  if (observer_ != nullptr) observer_->Row(layer, {ex, args, run, 0, lse});
}

void BatchWatch::Cut(int64_t layer, SequenceWatch* watch, SequenceWatch::Rows rows,
                     const QueryRun& run) {
  if (watch == nullptr) {
    runs_.push_back(run);
  } else {
    watch->Cut(layer, rows, run, runs_);
  }
  of_runs_.resize(runs_.size(), watch);
}

LayerRuns BatchWatch::Enter(int64_t layer, const DecoderBatch& batch, const TensorView& x) {
  const auto enter = [&](std::span<const QueryRun> runs, const std::vector<SequenceWatch*>& of) {
    for (size_t i = 0; i < runs.size(); ++i)
      if (of[i] != nullptr) of[i]->EnterLayer(ex_, layer, runs[i], x);
  };
  enter(batch.visual_runs, of_visual_);
  enter(batch.text_runs, of_text_);
  runs_.clear();
  of_runs_.clear();
  for (size_t i = 0; i < batch.text_runs.size(); ++i)
    Cut(layer, of_text_[i], SequenceWatch::Rows::kText, batch.text_runs[i]);
  const size_t text = runs_.size();
  for (size_t i = 0; i < batch.visual_runs.size(); ++i)
    Cut(layer, of_visual_[i], SequenceWatch::Rows::kVisual, batch.visual_runs[i]);
  return {.text = std::span<const QueryRun>(runs_).first(text), .all = runs_};
}

void BatchWatch::Attended(int64_t layer, const AttentionArgs& args, const TensorView& lse) {
  for (size_t i = 0; i < args.runs.size(); ++i)
    if (of_runs_[i] != nullptr) of_runs_[i]->Attended(ex_, layer, args, args.runs[i], lse);
}

}  // namespace binocle
