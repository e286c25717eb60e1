#include "llm/grouped_out.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include "core/ops/elementwise.h"

namespace binocle {
namespace {

constexpr int64_t kRowsAtOnce = 16;

WeightKind KindOfSums(WeightKind kind) {
  return kind == WeightKind::kInt4 || kind == WeightKind::kBlocks ? WeightKind::kInt8 : kind;
}

WeightKind KindOf(const LinearWeights& w) {
  if (!w.device.empty()) return w.device.kind;
  return w.in_place.empty() ? w.compact.kind : w.in_place_kind;
}

}  // namespace

// However `out` is kept, its product with rows of ones and zeros adds its columns up: exactly, but for f32 sums, as both round to
// themselves in every kind.
LinearWeights SumOverGroups(Exec& ex, const LinearWeights& out, int64_t kv_heads,
                            int64_t head_dim) {
  const int64_t group = out.k / (kv_heads * head_dim), n = out.n;
  const Tensor ones = Tensor::F32({head_dim, out.k}), sums = Tensor::F32({head_dim, n});
  const Tensor operand = Tensor::F32(ones.shape(), "ones", out.place()),
               product = Tensor::F32(sums.shape(), "sums", out.place());
  const Tensor bias =
      out.bias.empty() ? Tensor() : ToHost(ex, out.bias.view().Reshape({1, n})).Reshaped({n});
  const Tensor weight = Tensor::F32({n, kv_heads * head_dim});
  for (int64_t g = 0; g < kv_heads; ++g) {
    std::fill_n(ones.f32(), ones.view().elements(), 0.0F);
    for (int64_t i = 0; i < head_dim; ++i)
      for (int64_t h = g * group; h < (g + 1) * group; ++h) ones.row(i)[h * head_dim + i] = 1;
    CopyRows(ex, ones, operand);
    // A few rows at a time: many would be multiplied as bf16 on a GPU, and round.
    for (int64_t i = 0; i < head_dim; i += kRowsAtOnce) {
      const int64_t end = std::min(i + kRowsAtOnce, head_dim);
      Linear(ex, operand.view().Rows(i, end), out, product.view().Rows(i, end));
    }
    CopyRows(ex, product, sums);
    ex.ParallelRanges(n, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float of_bias = bias.empty() ? 0 : bias.f32()[row];
        for (int64_t i = 0; i < head_dim; ++i)
          weight.row(row)[g * head_dim + i] = sums.row(i)[row] - of_bias;
      }
    });
  }
  return PackLinear(ex, {{.weight = weight, .bias = bias}}, KindOfSums(KindOf(out)));
}

int64_t GroupedOutBytes(int64_t layers, int64_t width, int64_t heads, int64_t kv_heads,
                        int64_t head_dim, WeightKind kind) {
  if (heads == kv_heads) return 0;
  return layers * PackedLinearBytes(width, kv_heads * head_dim, KindOfSums(kind));
}

struct GroupedOuts::State {
  int64_t kv_heads, head_dim;
  std::mutex mutex;  // guards what follows
  std::vector<std::optional<LinearWeights>> sums;
};

GroupedOuts::GroupedOuts(int64_t layers, int64_t kv_heads, int64_t head_dim)
    : state_(new State{.kv_heads = kv_heads, .head_dim = head_dim, .mutex = {}, .sums = {}}) {
  state_->sums.resize(static_cast<size_t>(layers));
}
GroupedOuts::~GroupedOuts() = default;
GroupedOuts::GroupedOuts(GroupedOuts&&) noexcept = default;

const LinearWeights& GroupedOuts::Of(Exec& ex, int64_t layer, const LinearWeights& out) const {
  if (out.k == state_->kv_heads * state_->head_dim) return out;
  const std::lock_guard lock(state_->mutex);
  std::optional<LinearWeights>& sums = state_->sums[static_cast<size_t>(layer)];
  if (!sums) sums = SumOverGroups(ex, out, state_->kv_heads, state_->head_dim);
  return *sums;
}

}  // namespace binocle
