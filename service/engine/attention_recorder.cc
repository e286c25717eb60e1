#include "service/engine/attention_recorder.h"

#include <algorithm>
#include <utility>

namespace binocle {

AttentionRecorder::AttentionRecorder(Plan plan)
    : plan_(std::move(plan)),
      map_weight_(static_cast<size_t>(plan_.heads)),
      all_weight_(static_cast<size_t>(plan_.heads), 1.0F / static_cast<float>(plan_.heads)),
      last_prompt_row_(static_cast<size_t>(plan_.layers)) {
  for (const int64_t head : plan_.map_heads)
    map_weight_[static_cast<size_t>(head)] = 1.0F / static_cast<float>(plan_.map_heads.size());
  for (const ImagePlace& image : plan_.images) visual_tokens_ += image.tokens;
}

void AttentionRecorder::Row(int64_t layer, const MapRow& row) {
  const int64_t position = row.run.first_position + row.row;
  const auto token = static_cast<size_t>(position - (plan_.prompt_tokens - 1));
  if (token >= tokens_.size()) {
    tokens_.resize(token + 1, {.visual = std::vector<float>(static_cast<size_t>(visual_tokens_)),
                               .asked = std::vector<uint8_t>(static_cast<size_t>(plan_.layers))});
  }
  tokens_[token].asked[static_cast<size_t>(layer)] = 1;
  const auto weigh = [&](std::span<const float> head_weight) {
    keys_.assign(static_cast<size_t>(row.run.keys), 0.0F);
    scratch_.resize(keys_.size());
    AddAttentionMap(row, head_weight, scratch_, keys_);
  };
  if (token == 0) {
    weigh(all_weight_);
    last_prompt_row_[static_cast<size_t>(layer)] = keys_;
  }
  if (!plan_.map_layers.Has(layer)) return;
  if (token != 0 || map_weight_ != all_weight_) weigh(map_weight_);
  ++tokens_[token].layers;
  float* sum = tokens_[token].visual.data();
  for (const ImagePlace& image : plan_.images) {
    for (int64_t i = 0; i < image.tokens; ++i)
      *sum++ += keys_[static_cast<size_t>(image.first_position + i)];
  }
}

std::vector<float> AttentionRecorder::VisualWeights(int64_t token) const {
  if (token >= std::ssize(tokens_)) return {};
  const TokenRow& row = tokens_[static_cast<size_t>(token)];
  if (row.layers == 0) return {};
  std::vector<float> mean = row.visual;
  for (float& w : mean) w /= static_cast<float>(row.layers);
  return mean;
}

bool AttentionRecorder::Asked(int64_t layer, int64_t token) const {
  return token < std::ssize(tokens_) &&
         tokens_[static_cast<size_t>(token)].asked[static_cast<size_t>(layer)] != 0;
}

}  // namespace binocle
