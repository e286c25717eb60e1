#include "attention/two_pass.h"

#include <algorithm>
#include <atomic>

#include "attention/two_pass_cpu.h"
#include "core/ops/gemm_plans.h"
#include "core/ops/linear_kernels.h"

namespace binocle {
namespace {

constexpr int64_t kPlannedRows = 16;  // fewer than these and our own kernel is the faster one

void Multiply(Exec& ex, const LinearBlock& block) {
  if (block.rows < kPlannedRows || !ex.gemm_plans().Run(block)) LinearBlockSimd(block);
}

int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

}  // namespace

TwoPassAttention::TwoPassAttention(Exec& ex, const TensorView& k, const TensorView& v,
                                   int64_t head_dim)
    : tokens_(k.dim(0)),
      kv_heads_(k.dim(1) / head_dim),
      head_dim_(head_dim),
      depth_(RoundUp(tokens_, kPanelWidth)),
      value_panels_(RoundUp(head_dim, kPanelWidth) / kPanelWidth),
      keys_(Tensor::F32({kv_heads_, depth_ / kPanelWidth * PaddedDepth(head_dim) * kPanelWidth})),
      values_(Tensor::F32({kv_heads_, value_panels_ * depth_ * kPanelWidth})) {
  for (int64_t h = 0; h < kv_heads_; ++h) {
    for (int64_t t = 0; t < tokens_; ++t) {
      float* key = keys_.row(h) + t / kPanelWidth * PaddedDepth(head_dim) * kPanelWidth;
      for (int64_t i = 0; i < head_dim; ++i) {
        key[i * kPanelWidth + t % kPanelWidth] = k.row(t)[h * head_dim + i];
        values_.row(h)[(i / kPanelWidth * depth_ + t) * kPanelWidth + i % kPanelWidth] =
            v.row(t)[h * head_dim + i];
      }
    }
  }
  for (int i = 0; i < ex.threads(); ++i) {
    scratch_.push_back({.q = Tensor::F32({kBlockRows, head_dim}),
                        .s = Tensor::F32({kBlockRows, depth_}),
                        .o = Tensor::F32({value_panels_, kBlockRows * kPanelWidth})});
  }
}

void TwoPassAttention::RunBlock(Exec& ex, const TensorView& q, float scale, const Block& b,
                                Scratch& scratch, const TensorView& out) const {
  const int64_t rows = (b.end - b.begin) * b.heads;
  const int64_t first_position = tokens_ - q.dim(0);
  const int64_t seen = RoundUp(first_position + b.end, kPanelWidth);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = q.row(b.begin + r / b.heads) + (b.first_head + r % b.heads) * head_dim_;
    for (int64_t i = 0; i < head_dim_; ++i) scratch.q.row(r)[i] = from[i] * scale;
  }
  // S = Q·Kᵀ   [R, seen]
  Multiply(ex, {.a = scratch.q.f32(),
                .lda = head_dim_,
                .b = keys_.row(b.kv_head),
                .c = scratch.s.f32(),
                .ldc = seen,
                .rows = rows,
                .depth = head_dim_,
                .columns = seen,
                .accumulate = Accumulate::kOverwrite});
  float sums[kBlockRows];
  for (int64_t r = 0; r < rows; ++r) {
    sums[r] =
        ExpRowCpu(scratch.s.f32() + r * seen, first_position + b.begin + r / b.heads + 1, seen);
  }
  // O = P·V   [R, 64] at a time
  for (int64_t p = 0; p < value_panels_; ++p) {
    Multiply(ex, {.a = scratch.s.f32(),
                  .lda = seen,
                  .b = values_.row(b.kv_head) + p * depth_ * kPanelWidth,
                  .c = scratch.o.row(p),
                  .ldc = kPanelWidth,
                  .rows = rows,
                  .depth = seen,
                  .columns = kPanelWidth,
                  .accumulate = Accumulate::kOverwrite});
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* to = out.row(b.begin + r / b.heads) + (b.first_head + r % b.heads) * head_dim_;
    const float inverse = 1 / sums[r];
    for (int64_t p = 0; p < value_panels_; ++p) {
      const float* from = scratch.o.row(p) + r * kPanelWidth;
      const int64_t columns = std::min(kPanelWidth, head_dim_ - p * kPanelWidth);
      for (int64_t i = 0; i < columns; ++i) to[p * kPanelWidth + i] = from[i] * inverse;
    }
  }
}

void TwoPassAttention::Run(Exec& ex, const TensorView& q, float scale, const TensorView& out) {
  const int64_t group = q.dim(1) / (kv_heads_ * head_dim_);
  BINOCLE_CHECK(group <= kBlockRows && q.dim(0) <= tokens_, q.shape().ToString());
  const int64_t rows_per_block = kBlockRows / group;
  const int64_t blocks = (q.dim(0) + rows_per_block - 1) / rows_per_block;
  std::atomic<int64_t> next{blocks * kv_heads_};
  ex.Parallel(ex.threads(), [&](int64_t thread) {
    // The last rows see most keys and go first.
    for (int64_t task = --next; task >= 0; task = --next) {
      const int64_t begin = task / kv_heads_ * rows_per_block;
      const Block block{.kv_head = task % kv_heads_,
                        .begin = begin,
                        .end = std::min(begin + rows_per_block, q.dim(0)),
                        .first_head = task % kv_heads_ * group,
                        .heads = group};
      RunBlock(ex, q, scale, block, scratch_[static_cast<size_t>(thread)], out);
    }
  });
}

}  // namespace binocle
