#include "llm/sinks.h"

#include <algorithm>
#include <cmath>

namespace binocle {
namespace {

// Published dimensions; sources in docs/interventions.md.
struct KnownModel {
  int64_t width, ff_width, layers, heads, kv_heads;
  int32_t first, second;  // second −1: there is one
};
constexpr KnownModel kKnownModels[] = {
    {4096, 11008, 32, 32, 32, 1415, 2533},  // LLaMA 2 7B, Vicuna 1.5 7B, LLaVA 1.5 7B
    {5120, 13824, 40, 40, 40, 2100, 4743},  // LLaMA 2 13B, Vicuna 1.5 13B, LLaVA 1.5 13B
    {3584, 18944, 28, 28, 4, 458, 2570},    // Qwen2 7B, Qwen2-VL 7B
    {4096, 14336, 32, 32, 8, 3584, -1},     // InternLM 2.5 7B, InternVL2 8B
};

}  // namespace

float SinkScore::phi() const { return mean_square > 0 ? peak / std::sqrt(mean_square) : 0; }
float SinkScore::released_phi() const { return peak / std::sqrt(mean_square + 1e-6F); }

void ScoreSinks(Exec& ex, const TensorView& x, const SinkDims& dims, std::span<SinkScore> scores) {
  const int64_t width = x.dim(1);
  BINOCLE_CHECK(static_cast<int64_t>(scores.size()) == x.dim(0), scores.size(), " scores");
  ex.ParallelRanges(x.dim(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = x.row(t);
      double squares = 0;
      for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(row[i]) * row[i];
      SinkScore score{.mean_square = static_cast<float>(squares / static_cast<double>(width))};
      for (const int32_t d : dims) score.peak = std::max(score.peak, std::abs(row[d]));
      scores[static_cast<size_t>(t)] = score;
    }
  });
}

SinkDims KnownSinkDims(int64_t width, int64_t ff_width, int64_t layers, int64_t heads,
                       int64_t kv_heads) {
  for (const KnownModel& m : kKnownModels) {
    if (m.width != width || m.ff_width != ff_width || m.layers != layers || m.heads != heads ||
        m.kv_heads != kv_heads)
      continue;
    return m.second < 0 ? SinkDims{m.first} : SinkDims{m.first, m.second};
  }
  return {};
}

}  // namespace binocle
