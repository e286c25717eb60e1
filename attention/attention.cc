#include "attention/attention.h"

#include <algorithm>
#include <cmath>

#include "attention/attention_cpu.h"

namespace binocle {
namespace {

void Check(const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  const int64_t d = args.kv.head_dim;
  BINOCLE_CHECK(d >= 1 && d <= kMaxHeadDim && args.q.dim(1) % (d * args.kv.kv_heads) == 0, "q ",
                args.q.shape().ToString(), " d ", d);
  BINOCLE_CHECK(
      out.shape() == args.q.shape() && lse.dim(0) == out.dim(0) && lse.dim(1) == args.q.dim(1) / d,
      "out ", out.shape().ToString(), " lse ", lse.shape().ToString());
  for (const QueryRun& run : args.runs) {
    BINOCLE_CHECK(run.first_row + run.rows <= args.q.dim(0) &&
                      PagesFor(run.keys) <= static_cast<int64_t>(run.pages.size()),
                  "run of ", run.rows, " rows, ", run.keys, " keys");
    BINOCLE_CHECK(args.mask == Mask::kNone || run.first_position + run.rows <= run.keys,
                  "causal rows past the keys");
  }
}

}  // namespace

void Attention(Exec& ex, const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  Check(args, out, lse);
  const int64_t group =
      args.q.dim(1) / (args.kv.head_dim * args.kv.kv_heads);  // query heads per kv head
  const int64_t rows_per_block = std::max<int64_t>(1, kBlockRows / group);
  const auto blocks_of = [&](const QueryRun& run) {
    return (run.rows + rows_per_block - 1) / rows_per_block;
  };
  int64_t blocks = 0;
  for (const QueryRun& run : args.runs) blocks += blocks_of(run);

  ex.Parallel(blocks * args.kv.kv_heads, [&](int64_t task) {
    int64_t block = task / args.kv.kv_heads;
    size_t r = 0;
    for (; block >= blocks_of(args.runs[r]); ++r) block -= blocks_of(args.runs[r]);
    const QueryRun& run = args.runs[r];
    const int64_t begin = block * rows_per_block;
    const int64_t end = std::min(begin + rows_per_block, run.rows);
    // A group wider than a block is computed a few heads at a time.
    for (int64_t g = 0; g < group; g += kBlockRows) {
      AttentionBlockCpu({.args = &args,
                         .run = &run,
                         .begin = begin,
                         .end = end,
                         .kv_head = task % args.kv.kv_heads,
                         .first_head = task % args.kv.kv_heads * group + g,
                         .heads = std::min(group - g, kBlockRows),
                         .out = out,
                         .lse = lse});
    }
  });
}

void AttentionWeights(const AttentionArgs& args, const QueryRun& run, int64_t row, int64_t head,
                      float lse, std::span<float> weights) {
  const int64_t d = args.kv.head_dim;
  const int64_t kv_head = head / (args.q.dim(1) / (d * args.kv.kv_heads));
  const float* q = args.q.row(run.first_row + row) + head * d;
  const int64_t visible = args.mask == Mask::kCausal ? run.first_position + row + 1 : run.keys;
  BINOCLE_CHECK(static_cast<int64_t>(weights.size()) == run.keys, weights.size(), " weights for ",
                run.keys, " keys");
  for (int64_t j = 0; j < run.keys; ++j) {
    const float* key = args.kv.key_page(run.pages[static_cast<size_t>(j / kPageTokens)], kv_head) +
                       j % kPageTokens;
    float score = 0;
    for (int64_t i = 0; i < d; ++i) score += q[i] * args.scale * key[i * kPageTokens];
    weights[static_cast<size_t>(j)] = j < visible ? std::exp(score - lse) : 0.0F;
  }
}

}  // namespace binocle
