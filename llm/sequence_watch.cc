#include "llm/sequence_watch.h"

#include <algorithm>
#include <map>

#include "core/ops/device_rows.h"
#include "core/ops/elementwise.h"

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
  gain_.resize(static_cast<size_t>(PagesFor(layout_.capacity) * kPageTokens));
  int64_t visual = 0;
  for (const ImagePlace& image : layout_.images) {
    after_images_ = std::max(after_images_, image.first_position + image.tokens);
    visual += image.tokens;
    for (auto& classes : classes_)
      std::fill_n(classes.begin() + image.first_position, image.tokens, kVisualKey);
  }
  if (plan_.var) plan_.var->params.visual_keys = static_cast<float>(visual);
}

std::unique_ptr<SequenceWatch> SequenceWatch::Clone(Exec& ex) const {
  auto clone = std::make_unique<SequenceWatch>(config_, plan_, layout_);
  clone->classes_ = classes_;
  clone->has_visual_sink_ = has_visual_sink_;
  clone->masses_ = masses_;
  if (device_) clone->device_.emplace(device_->Clone(ex));
  clone->observer_ = observer_;
  clone->input_observer_ = input_observer_;
  return clone;
}

SinkTest SequenceWatch::Test() const {
  const VarForm form = plan_.var ? plan_.var->form : VarForm{};
  return {.tau = plan_.tau,
          .released = form.strict_phi,
          .end_of_sinks = form.prompt_sinks_only ? layout_.prompt_tokens : layout_.capacity};
}

void SequenceWatch::Mark(int64_t layer, int64_t position, const SinkScore& score) {
  uint8_t& c = classes_[static_cast<size_t>(layer)][static_cast<size_t>(position)];
  const SinkTest test = Test();
  const bool reaches = test.released ? score.released_phi() > test.tau : score.phi() >= test.tau;
  const bool sink = position < test.end_of_sinks && reaches;
  c = static_cast<uint8_t>((c & kVisualKey) | (sink ? kSinkKey : 0));
  if (c == (kVisualKey | kSinkKey)) has_visual_sink_[static_cast<size_t>(layer)] = 1;
}

DeviceSinks& SequenceWatch::OnDevice(Exec& ex) {
  if (!device_) device_.emplace(ex, config_.layers, layout_.capacity);
  return *device_;
}

void SequenceWatch::FetchClasses(Exec& ex) {
  if (!device_) return;
  for (int64_t l = 0; l < config_.layers; ++l) FetchClasses(ex, l);
}

void SequenceWatch::FetchClasses(Exec& ex, int64_t layer) {
  std::ranges::copy(device_->Read(ex, layer, layout_.capacity),
                    classes_[static_cast<size_t>(layer)].begin());
}

void SequenceWatch::PutImage(Exec& ex, const ImageKv& image, int64_t first_position) {
  BINOCLE_CHECK(plan_.dims.empty() || image.sink_dims == plan_.dims,
                "an image scored with other sink dimensions");
  if (image.memory.on_cuda()) {
    if (!MarksKeys()) return;
    const TensorView scores = plan_.dims.empty() ? TensorView() : image.sinks.view();
    return OnDevice(ex).PutImage(ex, Test(), scores, image.tokens(), first_position);
  }
  if (plan_.dims.empty()) return;
  for (int64_t l = 0; l < config_.layers; ++l) {
    const TensorView scores = image.SinksOf(l);
    for (int64_t i = 0; i < image.tokens(); ++i) Mark(l, first_position + i, ScoreAt(scores, i));
  }
}

void SequenceWatch::EnterLayer(Exec& ex, int64_t layer, const QueryRun& run, const TensorView& x) {
  const TensorView rows = x.Rows(run.first_row, run.first_row + run.rows);
  place_ = x.on_cuda() ? ex.place() : Place{};
  if (input_observer_ != nullptr) ShowInput(ex, *input_observer_, layer, run.first_position, rows);
  if (plan_.dims.empty() || x.on_cuda()) return;
  if (scores_.empty() || scores_.dim(0) < run.rows) scores_ = Tensor::F32({run.rows, 2}, "scores");
  const TensorView scores = scores_.view().Rows(0, run.rows);
  ScoreSinks(ex, rows, plan_.dims, scores);
  for (int64_t i = 0; i < run.rows; ++i) Mark(layer, run.first_position + i, ScoreAt(scores, i));
}

bool SequenceWatch::MarksKeys() const { return !plan_.dims.empty() || plan_.var || plan_.measure; }

bool SequenceWatch::LooksAt(int64_t layer) const {
  return (plan_.var && plan_.var->layers.Has(layer)) ||
         (plan_.measure && plan_.measure->Has(layer));
}

// The layer's policies: for rows under VAR, and for the row that gives logits, measured with or without VAR.
void SequenceWatch::SetPolicies(int64_t layer, int64_t rows) {
  const VarForm form = plan_.var ? plan_.var->form : VarForm{};
  if (device_) segments_ = device_->Segments(layer, form.needs_visual_sink);
  const SegmentPolicy alone{.classes = classes(layer),
                            .on_device = device_ ? &segments_ : nullptr,
                            .rule = nullptr,
                            .params = {},
                            .masses = {}};
  var_policy_ = alone;
  if (plan_.var && plan_.var->layers.Has(layer)) {
    const bool left_alone =
        !device_ && form.needs_visual_sink && has_visual_sink_[static_cast<size_t>(layer)] == 0;
    if (!left_alone)
      var_policy_.rule = form.rho_bounds_sinks ? &VarBySinkShare : &VarByContentShare;
    var_policy_.params = plan_.var->params;
  }
  measured_policy_ = alone;
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
  if (run.segments == &measured_policy_ || run.segments == &ruled_and_measured_policy_)
    KeepMasses(ex, layer, row_masses_.view().Rows(run.first_row, run.first_row + 1));
  if (observer_ == nullptr) return;
  if (device_) TellPolicies(ex, layer);
  observer_->Row(layer, {ex, args, run, 0, lse});
}

// What the device has decided by, for who looks at a row from the host.
void SequenceWatch::TellPolicies(Exec& ex, int64_t layer) {
  FetchClasses(ex, layer);
  if (!segments_.needs_visual_sink) return;
  if (std::ranges::count(classes(layer), kVisualKey | kSinkKey) > 0) return;
  var_policy_.rule = nullptr;
  ruled_and_measured_policy_.rule = nullptr;
}

// From a GPU they come together, behind the last layer that measures.
void SequenceWatch::KeepMasses(Exec& ex, int64_t layer, const TensorView& of_row) {
  const auto put = [&](int64_t of_layer, const float* m) {
    for (int64_t h = 0; h < config_.heads; ++h, m += 3)
      masses_[static_cast<size_t>(of_layer * config_.heads + h)] = {m[0], m[1], m[2]};
  };
  if (!of_row.on_cuda()) return put(layer, of_row.f32());
  if (layer_masses_.empty())
    layer_masses_ = Tensor::F32({config_.layers, 3 * config_.heads}, "masses", place_);
  CopyRows(ex, of_row, layer_masses_.view().Rows(layer, layer + 1));
  const int64_t last = std::min(plan_.measure->last, config_.layers - 1);
  if (layer < last) return;
  const Tensor read = ToHost(ex, layer_masses_);
  for (int64_t l = plan_.measure->first; l <= last; ++l) put(l, read.row(l));
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

// The runs that watches see, those with the same dimensions together.
void BatchWatch::PlanMarks(const DecoderBatch& batch) {
  marks_.clear();
  listings_.clear();
  std::map<SequenceWatch*, int64_t> keys;
  const auto plan = [&](std::span<const QueryRun> runs, const std::vector<SequenceWatch*>& of,
                        bool visual) {
    for (size_t i = 0; i < runs.size(); ++i) {
      if (of[i] == nullptr || !of[i]->MarksKeys()) continue;
      const QueryRun& run = runs[i];
      const SinkDims& dims = of[i]->plan().dims;
      auto marks = std::ranges::find(marks_, dims, &Marks::dims);
      if (marks == marks_.end()) {
        marks_.push_back({.dims = dims, .first_row = run.first_row});
        marks = marks_.end() - 1;
      }
      marks->first_row = std::min(marks->first_row, run.first_row);
      marks->end_row = std::max(marks->end_row, run.first_row + run.rows);
      marks->most_rows = std::max(marks->most_rows, run.rows);
      marks->ranges.push_back(of[i]->OnDevice(ex_).Range(of[i]->Test(), run.first_row, run.rows,
                                                         run.first_position, visual));
      int64_t& end = keys[of[i]];
      end = std::max(end, run.first_position + run.rows);
    }
  };
  plan(batch.text_runs, of_text_, false);
  plan(batch.visual_runs, of_visual_, true);
  for (Marks& marks : marks_)
    for (cuda::SinkRange& range : marks.ranges) range.first_score -= Int32(marks.first_row);
  for (const auto& [watch, end] : keys) listings_.push_back(watch->OnDevice(ex_).Listing(end));
}

void BatchWatch::MarkOnDevice(int64_t layer, const TensorView& x) {
  CudaBackend& cuda = ex_.cuda();
  for (const Marks& marks : marks_) {
    const TensorView rows = x.Rows(marks.first_row, marks.end_row);
    float* scores = nullptr;
    if (!marks.dims.empty()) {
      scores = cuda.Get<float>(CudaBackend::Scratch::kNumbers, 2 * rows.dim(0));
      ScoreSinks(ex_, rows, marks.dims,
                 TensorView(scores, DType::kF32, {rows.dim(0), 2}, "scores", Device::kCuda));
    }
    cuda.Run(cuda::kMarkSinks,
             {.scores = scores,
              .ranges = cuda.Upload(std::span<const cuda::SinkRange>(marks.ranges)),
              .count = Int32(std::ssize(marks.ranges)),
              .most_rows = Int32(marks.most_rows),
              .layer = Int32(layer)});
  }
  const auto looks = [&](const SequenceWatch* watch) {
    return watch != nullptr && watch->LooksAt(layer);
  };
  if (std::ranges::none_of(of_text_, looks) && std::ranges::none_of(of_visual_, looks)) return;
  cuda.Run(cuda::kListSinks,
           {.sequences = cuda.Upload(std::span<const cuda::SinkListing>(listings_)),
            .count = Int32(std::ssize(listings_)),
            .layer = Int32(layer)});
}

LayerRuns BatchWatch::Enter(int64_t layer, const DecoderBatch& batch, const TensorView& x) {
  const auto enter = [&](std::span<const QueryRun> runs, const std::vector<SequenceWatch*>& of) {
    for (size_t i = 0; i < runs.size(); ++i)
      if (of[i] != nullptr) of[i]->EnterLayer(ex_, layer, runs[i], x);
  };
  enter(batch.visual_runs, of_visual_);
  enter(batch.text_runs, of_text_);
  if (x.on_cuda()) {
    if (layer == 0) PlanMarks(batch);
    MarkOnDevice(layer, x);
  }
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
