// What is watched and changed in the attention of one sequence: sinks, VAR, score gains, masses (docs/interventions.md).
//
// A SequenceWatch belongs to a sequence for its whole life. It marks sinks as tokens enter each layer, cuts the sequence's runs so
// that the rows an intervention means get it and no others do, and keeps the masses of the row whose logits come next.
// BatchWatch puts the watches of a batch behind the decoder's hooks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "attention/attention_map.h"
#include "attention/var.h"
#include "llm/device_sinks.h"
#include "llm/layer_input_observer.h"
#include "llm/llama_decoder.h"
#include "llm/sinks.h"
#include "llm/var_form.h"

namespace binocle {

// Inclusive, 0-based.
struct LayerRange {
  int64_t first = 0;
  int64_t last = -1;
  bool Has(int64_t layer) const { return layer >= first && layer <= last; }
};

struct VarPlan {
  VarForm form;
  VarParams params;  // p: what sinks give away, whatever form.p_is_kept
  LayerRange layers;
};

// Score gains on the last row.
struct GainPlan {
  LayerRange layers;
  bool from_decode = false;        // leave the prompt's last row alone
  std::vector<float> key_gain;     // g [prompt]; 0 for every later key
  std::vector<float> head_factor;  // c [L·H]; empty: 1
};

struct WatchPlan {
  SinkDims dims;
  float tau = 20;
  std::optional<VarPlan> var;
  std::optional<GainPlan> gain;
  std::optional<LayerRange> measure;  // masses of the rows that give logits

  bool empty() const { return !var && !gain && !measure; }
};

struct ImagePlace {
  int64_t first_position = 0;
  int64_t tokens = 0;
};

// Somebody who wants to see the attention of rows that give logits (service/engine/explain).
class RowObserver {
 public:
  virtual ~RowObserver() = default;
  virtual void Row(int64_t layer, const MapRow& row) = 0;
};

class SequenceWatch {
 public:
  // A sequence of `prompt_tokens` and what follows, up to `capacity`.
  struct Layout {
    int64_t prompt_tokens = 0;
    int64_t capacity = 0;
    std::vector<ImagePlace> images;
  };
  SequenceWatch(const LlamaConfig& config, WatchPlan plan, Layout layout);

  // For a sequence that goes its own way from here on; observers see both.
  std::unique_ptr<SequenceWatch> Clone(Exec& ex) const;

  const WatchPlan& plan() const { return plan_; }
  void set_observer(RowObserver* observer) { observer_ = observer; }
  // Sees every row that enters a layer, but for those of images that were encoded apart (ImageWatch).
  void set_input_observer(LayerInputObserver* observer) { input_observer_ = observer; }

  // Sinks of an image that was encoded apart from the prompt.
  void PutImage(Exec& ex, const ImageKv& image, int64_t first_position);
  // The rows of `run` are about to enter `layer`: marks the sinks among them, unless they are on a GPU (BatchWatch). x [T, D].
  void EnterLayer(Exec& ex, int64_t layer, const QueryRun& run, const TensorView& x);
  // Appends `run`, cut where its rows differ in what happens to them. kText: no row is at an image position.
  enum class Rows : uint8_t { kText, kVisual };
  void Cut(int64_t layer, Rows rows, const QueryRun& run, std::vector<QueryRun>& out);
  // One of the runs that Cut made has been through its attention.
  void Attended(Exec& ex, int64_t layer, const AttentionArgs& args, const QueryRun& run,
                const TensorView& lse);

  // Of the row that gave the latest logits: [L·H], zero outside plan().measure.
  std::span<const SegmentMasses> masses() const { return masses_; }
  // Bits of attention/segments.h per position, as `layer` sees them; on a GPU as they were when FetchClasses last asked.
  std::span<const uint8_t> classes(int64_t layer) const {
    return classes_[static_cast<size_t>(layer)];
  }
  void FetchClasses(Exec& ex);

  // Where the rows are on a GPU.
  DeviceSinks& OnDevice(Exec& ex);
  SinkTest Test() const;
  // Whether somebody goes by classes at all, and attention over `layer`.
  bool MarksKeys() const;
  bool LooksAt(int64_t layer) const;

 private:
  bool GivesLogits(int64_t position) const { return position >= layout_.prompt_tokens - 1; }
  void Mark(int64_t layer, int64_t position, const SinkScore& score);
  void SetPolicies(int64_t layer, int64_t rows);
  QueryRun LastRow(int64_t layer, const QueryRun& run) const;
  void FetchClasses(Exec& ex, int64_t layer);
  void TellPolicies(Exec& ex, int64_t layer);
  void KeepMasses(Exec& ex, int64_t layer, const TensorView& of_row);

  LlamaConfig config_;
  WatchPlan plan_;
  Layout layout_;
  int64_t after_images_ = 0;                   // the first position after the last image
  std::vector<std::vector<uint8_t>> classes_;  // [L][capacity]
  std::vector<uint8_t> has_visual_sink_;       // [L]
  std::vector<float> gain_;                    // [capacity] in whole pages
  std::vector<SegmentMasses> masses_;          // [L·H]
  Tensor scores_;                              // scratch
  std::optional<DeviceSinks> device_;          // on a GPU, instead of classes_ and has_visual_sink_
  DeviceSegments segments_;                    // of the layer at hand
  // Policies of the layer at hand.
  SegmentPolicy var_policy_, measured_policy_, ruled_and_measured_policy_;
  Place place_;          // of the rows of the pass at hand
  Tensor row_masses_;    // [T, 3·H] where the measured ones write
  Tensor layer_masses_;  // [L, 3·H] on a GPU, of the row that gives the latest logits
  RowObserver* observer_ = nullptr;
  LayerInputObserver* input_observer_ = nullptr;
};

// The watches of one batch: one per run, nullptr where nobody watches.
class BatchWatch : public DecoderHooks {
 public:
  BatchWatch(Exec& ex, std::vector<SequenceWatch*> of_text_runs,
             std::vector<SequenceWatch*> of_visual_runs)
      : ex_(ex), of_text_(std::move(of_text_runs)), of_visual_(std::move(of_visual_runs)) {}

  LayerRuns Enter(int64_t layer, const DecoderBatch& batch, const TensorView& x) override;
  void Attended(int64_t layer, const AttentionArgs& args, const TensorView& lse) override;

 private:
  void Cut(int64_t layer, SequenceWatch* watch, SequenceWatch::Rows rows, const QueryRun& run);
  void PlanMarks(const DecoderBatch& batch);
  void MarkOnDevice(int64_t layer, const TensorView& x);

  Exec& ex_;
  std::vector<SequenceWatch*> of_text_, of_visual_;
  std::vector<QueryRun> runs_;           // of the layer at hand
  std::vector<SequenceWatch*> of_runs_;  // parallel to runs_
  // On a GPU, the same in every layer: rows that are scored in the same dimensions, and whose sinks they may be.
  struct Marks {
    SinkDims dims;
    int64_t first_row = 0, end_row = 0;  // of x
    int64_t most_rows = 0;
    std::vector<cuda::SinkRange> ranges;
  };
  std::vector<Marks> marks_;
  std::vector<cuda::SinkListing> listings_;
};

}  // namespace binocle
