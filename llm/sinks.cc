#include "llm/sinks.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/ops/device_rows.h"
#include "core/ops/rows_cuda.h"

namespace binocle {
namespace {

// Published dimensions (docs/interventions.md). Vocabularies tell models of equal extents apart: InternLM 2.5 has those of LLaMA 3 8B
// and Mistral 7B. They are ranges, since fine-tuned models pad theirs.
struct KnownModel {
  int64_t width, ff_width, layers, heads, kv_heads;
  int64_t least_vocabulary, most_vocabulary;
  int32_t first, second;  // second −1: there is one
};
constexpr KnownModel kKnownModels[] = {
    {4096, 11008, 32, 32, 32, 32000, 32128, 1415, 2533},  // LLaMA 2, Vicuna 1.5, LLaVA 1.5: 7B
    {5120, 13824, 40, 40, 40, 32000, 32128, 2100, 4743},  // LLaMA 2, Vicuna 1.5, LLaVA 1.5: 13B
    {3584, 18944, 28, 28, 4, 151643, 152064, 458, 2570},  // Qwen2 7B, Qwen2-VL 7B
    {4096, 14336, 32, 32, 8, 92544, 92672, 3584, -1},     // InternLM 2.5 7B, InternVL2 8B
};

void ScoreOnDevice(Exec& ex, const TensorView& x, const SinkDims& dims, const TensorView& scores) {
  CudaBackend& cuda = ex.cuda();
  cuda.Run(cuda::kPeaksOfRows, {.x = DenseF32(x),
                                .dims = cuda.Upload(std::span<const int32_t>(dims)),
                                .dim_count = Int32(std::ssize(dims)),
                                .rows = Int32(x.dim(0)),
                                .width = Int32(x.dim(1)),
                                .out = DenseF32(scores)});
}

}  // namespace

float SinkScore::phi() const { return mean_square > 0 ? peak / std::sqrt(mean_square) : 0; }
float SinkScore::released_phi() const { return peak / std::sqrt(mean_square + 1e-6F); }

void ScoreSinks(Exec& ex, const TensorView& x, const SinkDims& dims, const TensorView& scores) {
  const int64_t width = x.dim(1);
  BINOCLE_CHECK(scores.shape() == Shape({x.dim(0), 2}), scores.shape().ToString());
  if (x.on_cuda()) return ScoreOnDevice(ex, x, dims, scores);
  ex.ParallelRanges(x.dim(0), 64, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* row = x.row(t);
      double squares = 0;
      for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(row[i]) * row[i];
      float peak = 0;
      for (const int32_t d : dims) peak = std::max(peak, std::abs(row[d]));
      scores.row(t)[0] = peak;
      scores.row(t)[1] = static_cast<float>(squares / static_cast<double>(width));
    }
  });
}

SinkDims KnownSinkDims(const LlamaConfig& c) {
  for (const KnownModel& m : kKnownModels) {
    if (m.width != c.width || m.ff_width != c.ff_width || m.layers != c.layers ||
        m.heads != c.heads || m.kv_heads != c.kv_heads || c.vocabulary < m.least_vocabulary ||
        c.vocabulary > m.most_vocabulary)
      continue;
    return m.second < 0 ? SinkDims{m.first} : SinkDims{m.first, m.second};
  }
  return {};
}

}  // namespace binocle
