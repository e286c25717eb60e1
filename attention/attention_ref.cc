#include "attention/attention_ref.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/var.h"
#include "core/convert.h"

namespace binocle {
namespace {

struct Row {
  const AttentionArgs& args;
  const QueryRun& run;
  int64_t row;
  int64_t head;
};

int64_t KvHead(const Row& r) {
  return r.head / (r.args.q.dim(1) / (r.args.kv.head_dim * r.args.kv.kv_heads));
}

double Key(const Row& r, int64_t j, int64_t i) {
  const int64_t page = r.run.pages[static_cast<size_t>(j / kPageTokens)];
  return r.args.kv.Key(page, KvHead(r), j % kPageTokens, i);
}

double Value(const Row& r, int64_t j, int64_t i) {
  const int64_t page = r.run.pages[static_cast<size_t>(j / kPageTokens)];
  return r.args.kv.Value(page, KvHead(r), j % kPageTokens, i);
}

// scale·q, rounded where pages are bfloat16.
double Query(const Row& r, int64_t i) {
  const int64_t at =
      (r.run.first_row + r.row) * r.args.q.stride(0) + r.head * r.args.kv.head_dim + i;
  const float q = r.args.q.dtype() == DType::kF32
                      ? static_cast<const float*>(r.args.q.data())[at]
                      : F32FromBf16(static_cast<const Bf16*>(r.args.q.data())[at].bits);
  if (r.args.kv.dtype == DType::kF32) return double{q} * r.args.scale;
  return F32FromBf16(Bf16FromF32(q * r.args.scale).bits);
}

double Varied(const ScoreVariant& variant, double s, int64_t head, int64_t j) {
  const auto at = static_cast<size_t>(j);
  if (const auto* v = std::get_if<KeyGain>(&variant)) {
    const double factor = v->head_factor.empty() ? 1 : v->head_factor[static_cast<size_t>(head)];
    return s > -INFINITY ? s + v->gain[at] * factor * std::abs(s) : s;
  }
  if (const auto* v = std::get_if<KeyBias>(&variant)) return s + v->bias[at];
  if (const auto* v = std::get_if<SoftCap>(&variant)) return v->cap * std::tanh(s / v->cap);
  return s;
}

std::vector<double> Scores(const Row& r) {
  const int64_t seen = r.args.mask == Mask::kCausal ? r.run.first_position + r.row + 1 : r.run.keys;
  std::vector<double> scores(static_cast<size_t>(r.run.keys), -INFINITY);
  const int64_t first =
      r.args.window > 0 ? std::max(r.run.first_key, seen - r.args.window) : r.run.first_key;
  for (int64_t j = first; j < seen; ++j) {
    double s = 0;
    for (int64_t i = 0; i < r.args.kv.head_dim; ++i) s += Query(r, i) * Key(r, j, i);
    scores[static_cast<size_t>(j)] = Varied(r.run.variant, s, r.head, j);
  }
  return scores;
}

double SumOver(const std::vector<double>& weights, std::span<const uint8_t> classes, uint8_t c) {
  double sum = 0;
  for (size_t j = 0; j < weights.size(); ++j) sum += classes[j] == c ? weights[j] : 0;
  return sum;
}

// VAR on explicit weights, as docs/interventions.md states it.
void RedistributeRef(const SegmentPolicy& policy, std::vector<double>& weights) {
  const bool by_sinks = policy.rule == &VarBySinkShare;
  const VarParams& v = policy.params;
  const double content = SumOver(weights, policy.classes, kVisualKey);
  const double visual_sink = SumOver(weights, policy.classes, kVisualKey | kSinkKey);
  const double sink = visual_sink + SumOver(weights, policy.classes, kSinkKey);
  const double visual = content + visual_sink;
  const bool image_centric =
      by_sinks ? visual_sink / (visual + 1e-6 * v.visual_keys) <= v.rho : content / visual >= v.rho;
  if (visual < v.mass || content <= kLeastContent || !image_centric) return;
  const double budget = v.p * sink;
  for (size_t j = 0; j < weights.size(); ++j) {
    if (policy.classes[j] & kSinkKey) {
      weights[j] *= 1.0 - v.p;
    } else if (policy.classes[j] & kVisualKey) {
      weights[j] += budget * weights[j] / content;
    }
  }
}

}  // namespace

std::vector<double> WeightsRef(const AttentionArgs& args, const QueryRun& run, int64_t row,
                               int64_t head, double* lse) {
  const std::vector<double> scores = Scores({args, run, row, head});
  const double max = scores.empty() ? -INFINITY : *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights(scores.size(), 0);
  double sum = 0;
  if (max > -INFINITY) {
    for (size_t j = 0; j < scores.size(); ++j) sum += weights[j] = std::exp(scores[j] - max);
    for (double& w : weights) w /= sum;
  }
  *lse = sum > 0 ? max + std::log(sum) : -INFINITY;
  if (sum > 0 && run.segments != nullptr && run.segments->rule != nullptr)
    RedistributeRef(*run.segments, weights);
  return weights;
}

void AttentionRef(const AttentionArgs& args, const TensorView& out, const TensorView& lse) {
  const int64_t d = args.kv.head_dim;
  for (const QueryRun& run : args.runs) {
    for (int64_t row = 0; row < run.rows; ++row) {
      for (int64_t head = 0; head < args.q.dim(1) / d; ++head) {
        double row_lse = 0;
        const std::vector<double> weights = WeightsRef(args, run, row, head, &row_lse);
        lse.row(run.first_row + row)[head] = static_cast<float>(row_lse);
        for (int64_t i = 0; i < d; ++i) {
          double o = 0;
          for (size_t j = 0; j < weights.size(); ++j)
            if (weights[j] != 0)
              o += weights[j] * Value({args, run, row, head}, static_cast<int64_t>(j), i);
          out.row(run.first_row + row)[head * d + i] = static_cast<float>(o);
        }
      }
    }
  }
}

}  // namespace binocle
