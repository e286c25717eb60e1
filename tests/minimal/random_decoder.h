// A decoder with random weights, for programs without a test library (gpu_check).
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "core/ops/elementwise.h"
#include "core/weights.h"
#include "llm/llama_decoder.h"
#include "llm/sequence_watch.h"
#include "tests/llm/decoder_rows.h"
#include "tests/testing/numbers.h"

namespace binocle {

inline constexpr int64_t kVisual = 576, kText = 64;  // of a prompt that is timed

// All weights that `bind` asks for, random, in pieces of one buffer.
inline TensorSet RandomWeights(const std::function<void(WeightBinder&)>& bind) {
  constexpr int64_t kNumbers = int64_t{1} << 20;
  TensorSet set;
  testing::Numbers numbers(1);
  int64_t most = kNumbers;
  const std::vector<NeededWeight> needed = ListWeights({}, bind);
  for (const NeededWeight& weight : needed) most = std::max(most, weight.shape.elements());
  const auto buffer = std::make_shared<Tensor>(DType::kBF16, Shape{most}, "random");
  auto* data = static_cast<Bf16*>(buffer->view().data());
  for (int64_t i = 0; i < kNumbers; ++i) data[i] = Bf16FromF32(numbers.Normal(0.02F));
  for (int64_t i = kNumbers; i < most; i += kNumbers)
    std::memcpy(data + i, data, static_cast<size_t>(std::min(kNumbers, most - i)) * 2);
  for (const NeededWeight& weight : needed)
    set.Add(weight.name, TensorView(data, DType::kBF16, weight.shape, weight.name), buffer,
            "random");
  return set;
}

inline KindsByName AllOf(WeightKind kind) { return {.entries = {{"", kind}}}; }

// A decoder with random weights, and sequences of it.
class RandomDecoder {
 public:
  RandomDecoder(Exec& ex, LlamaConfig config, WeightKind kind, int64_t sequences, int64_t length)
      : ex_(ex), config_(config) {
    config_.layer_kind = kind;
    config_.kv_dtype = KvDType(kind);
    LlamaWeights weights;
    const auto bind = [&](WeightBinder& b) { weights = BindLlama(config_, b.Under("")); };
    const TensorSet set = RandomWeights(bind);
    LoadWeights(ex, set, {}, AllOf(kind), bind);
    if (ex.place().cuda == nullptr) embeddings_ = Kept(weights.embeddings);
    decoder_ = std::make_unique<LlamaDecoder>(ex, config_, std::move(weights),
                                              LayerPlan::Stock(config_.layers), length + 1);
    pool_ = KvPool(config_.layers, config_.kv_heads, config_.head_dim,
                   sequences * PagesFor(length + 1), config_.kv_dtype, ex.place());
    activations_ = std::make_unique<DecoderActivations>(config_, std::max(length, sequences),
                                                        sequences, ex.place());
  }

  const LlamaConfig& config() const { return config_; }
  KvSequence Sequence() { return KvSequence(pool_); }

  // The next tokens of each sequence, one list each; logits of the last of each. Watches, where there are any, are of each sequence one.
  TensorView Forward(const std::vector<KvSequence*>& sequences,
                     const std::vector<std::vector<int32_t>>& ids,
                     const std::vector<SequenceWatch*>& watches = {}) {
    std::vector<int32_t> all, positions, slots;
    std::vector<QueryRun> runs;
    std::vector<int64_t> last;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto count = std::ssize(ids[s]);
      const int64_t first = sequences[s]->Extend(count);
      runs.push_back({.first_row = std::ssize(all),
                      .rows = count,
                      .first_position = first,
                      .keys = first + count,
                      .pages = sequences[s]->pages()});
      for (int64_t p = first; p < first + count; ++p) {
        positions.push_back(static_cast<int32_t>(p));
        slots.push_back(sequences[s]->Slot(p));
      }
      all.insert(all.end(), ids[s].begin(), ids[s].end());
      last.push_back(std::ssize(all) - 1);
    }
    BatchWatch hooks(ex_, watches, {});
    decoder_->Embed(ex_, all, activations_->x.view().Rows(0, std::ssize(all)));
    decoder_->Forward(ex_,
                      {.text_rows = std::ssize(all),
                       .positions = positions,
                       .slots = slots,
                       .text_runs = runs,
                       .visual_runs = {},
                       .runs = runs,
                       .hooks = watches.empty() ? nullptr : &hooks},
                      pool_, *activations_);
    const TensorView logits = decoder_->Logits(ex_, last, *activations_);
    const TensorView on_host = activations_->logits.view().Rows(0, std::ssize(last));
    if (logits.on_cuda()) CopyRows(ex_, logits, on_host);
    return on_host;
  }

  // A picture between the first token and the rest, in layers of one kind, seen by a watch or by nobody. Ids as a prompt's: no two the same.
  void ForwardPicture(KvSequence& sequence, LayerKind kind, SequenceWatch* watch = nullptr) {
    const LayerPlan plan{.kinds = std::vector(static_cast<size_t>(config_.layers), kind)};
    sequence.Extend(kText + kVisual);
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < kText + kVisual; ++i)
      ids.push_back(static_cast<int32_t>(i * 17 % config_.vocabulary));
    const testing::PictureRows rows =
        testing::RowsAroundPicture(sequence, 1, kVisual, kText + kVisual);
    BatchWatch hooks(ex_, {watch, watch}, {watch});
    decoder_->Embed(ex_, ids, activations_->x.view().Rows(0, std::ssize(ids)));
    decoder_->Forward(ex_,
                      {.text_rows = kText,
                       .positions = rows.positions,
                       .slots = rows.slots,
                       .text_runs = rows.text_runs(),
                       .visual_runs = rows.visual_runs(),
                       .runs = rows.runs,
                       .hooks = watch == nullptr ? nullptr : &hooks,
                       .plan = &plan},
                      pool_, *activations_);
    const int64_t last[] = {kText - 1};
    decoder_->Logits(ex_, last, *activations_);
  }

 private:
  // The table outlives the files that it was to be read from.
  static Tensor Kept(WeightBinder::Table& table) {
    Tensor own(table.view.dtype(), table.view.shape(), "embeddings");
    CopyRows(table.view, own);
    table.view = own;
    return own;
  }

  Exec& ex_;
  LlamaConfig config_;
  Tensor embeddings_;
  std::unique_ptr<LlamaDecoder> decoder_;
  KvPool pool_;
  std::unique_ptr<DecoderActivations> activations_;
};

}  // namespace binocle
