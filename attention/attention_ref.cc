#include "attention/attention_ref.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace binocle {
namespace {

struct Row {
  const AttentionArgs& args;
  const QueryRun& run;
  int64_t row;
  int64_t head;
};

void ComputeRow(const Row& r, const TensorView& out, const TensorView& lse) {
  const KvLayer& kv = r.args.kv;
  const int64_t d = kv.head_dim;
  const int64_t kv_head = r.head / (r.args.q.dim(1) / (d * kv.kv_heads));
  const float* q = r.args.q.row(r.run.first_row + r.row) + r.head * d;
  const int64_t visible =
      r.args.mask == Mask::kCausal ? r.run.first_position + r.row + 1 : r.run.keys;
  const auto slot = [&](int64_t j) {
    return std::pair(r.run.pages[static_cast<size_t>(j / kPageTokens)], j % kPageTokens);
  };
  std::vector<double> scores(static_cast<size_t>(visible));
  for (int64_t j = 0; j < visible; ++j) {
    const auto [page, column] = slot(j);
    for (int64_t i = 0; i < d; ++i)
      scores[static_cast<size_t>(j)] +=
          static_cast<double>(q[i]) * kv.key_page(page, kv_head)[i * kPageTokens + column];
    scores[static_cast<size_t>(j)] *= r.args.scale;
  }
  const double max = scores.empty() ? -INFINITY : *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  std::vector<double> o(static_cast<size_t>(d));
  for (int64_t j = 0; j < visible; ++j) {
    const auto [page, column] = slot(j);
    const double p = std::exp(scores[static_cast<size_t>(j)] - max);
    sum += p;
    for (int64_t i = 0; i < d; ++i)
      o[static_cast<size_t>(i)] += p * kv.value_page(page, kv_head)[column * ValueStride(d) + i];
  }
  for (int64_t i = 0; i < d; ++i) {
    out.row(r.run.first_row + r.row)[r.head * d + i] =
        sum > 0 ? static_cast<float>(o[static_cast<size_t>(i)] / sum) : 0.0F;
  }
  lse.row(r.run.first_row + r.row)[r.head] =
      sum > 0 ? static_cast<float>(max + std::log(sum)) : -INFINITY;
}

}  // namespace

void AttentionRef(const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  for (const QueryRun& run : args.runs) {
    for (int64_t row = 0; row < run.rows; ++row) {
      for (int64_t head = 0; head < args.q.dim(1) / args.kv.head_dim; ++head)
        ComputeRow({args, run, row, head}, out, lse);
    }
  }
}

}  // namespace binocle
