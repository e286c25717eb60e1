#include "service/engine/visual_work.h"

#include <algorithm>

namespace binocle {
namespace {

// Keys that the rows of a picture see in a stock layer, summed; window 0: all before them.
int64_t KeysSeen(const ImageSpan& image, int64_t window) {
  int64_t keys = 0;
  for (int64_t t = 0; t < image.tokens; ++t) {
    const int64_t before = image.first_position + t + 1;
    keys += window > 0 ? std::min(window, before) : before;
  }
  return keys;
}

}  // namespace

int64_t VisualMultiplyAdds(const LlamaConfig& config, const LayerPlan& plan,
                           const ExpandedPrompt& prompt) {
  const int64_t heads_width = config.heads * config.head_dim;
  const int64_t out = heads_width * config.width;
  const int64_t kv = 2 * config.width * config.kv_heads * config.head_dim;
  const int64_t ffn = 3 * config.width * config.ff_width;
  int64_t aligned = kv;
  if (plan.aligner != Aligner::kNone) aligned += out;
  if (plan.aligner == Aligner::kVoFfn) aligned += ffn;
  int64_t sum = 0;
  for (size_t l = 0; l < plan.kinds.size(); ++l) {
    const int64_t window = config.windows.empty() ? 0 : config.windows[l];
    for (const ImageSpan& image : prompt.images) {
      if (plan.kinds[l] == LayerKind::kComposite) {
        sum += image.tokens * aligned;
      } else {
        sum += image.tokens * (2 * out + kv + ffn) + 2 * heads_width * KeysSeen(image, window);
      }
    }
  }
  return sum;
}

}  // namespace binocle
