// Collects what the rows that give an answer's tokens looked at: one vector over the visual tokens per answer token, reduced over
// layers and heads while the pass runs. No map of rows by keys is ever made.
#pragma once

#include <cstdint>
#include <vector>

#include "llm/sequence_watch.h"

namespace binocle {

class AttentionRecorder : public RowObserver {
 public:
  struct Plan {
    int64_t layers = 0, heads = 0;   // of the model
    LayerRange map_layers;           // the maps are means over these …
    std::vector<int64_t> map_heads;  // … and these heads
    int64_t prompt_tokens = 0;
    std::vector<ImagePlace> images;
  };
  explicit AttentionRecorder(Plan plan);

  void Row(int64_t layer, const MapRow& row) override;

  // Weights on all visual tokens, picture after picture, of the row that gave `token`; empty where it had no query in any of the map's
  // layers.
  std::vector<float> VisualWeights(int64_t token) const;
  // Whether that row asked in `layer`.
  bool Asked(int64_t layer, int64_t token) const;
  // Weights [prompt] of the prompt's last row, mean over all heads; empty where it had no query.
  const std::vector<float>& LastPromptRow(int64_t layer) const {
    return last_prompt_row_[static_cast<size_t>(layer)];
  }

 private:
  struct TokenRow {
    std::vector<float> visual;   // sum over the layers seen
    int64_t layers = 0;          // of the map, seen
    std::vector<uint8_t> asked;  // [L]
  };

  Plan plan_;
  std::vector<float> map_weight_, all_weight_;  // [H]
  int64_t visual_tokens_ = 0;
  std::vector<TokenRow> tokens_;
  std::vector<std::vector<float>> last_prompt_row_;  // [L]
  std::vector<float> scratch_, keys_;
};

}  // namespace binocle
