#include "service/engine/bench_kernels.h"

#include <cmath>
#include <random>
#include <string>

#include "attention/attention_map.h"
#include "attention/two_pass.h"
#include "attention/var.h"
#include "core/vector_rate.h"
#include "service/engine/bench_rounds.h"

namespace binocle {
namespace {

constexpr double kLeastSeconds = 0.02;  // a run of a contender is repeated up to this
constexpr int64_t kSinkTokens = 4;

Tensor Gaussian(Shape shape, uint64_t seed) {
  Tensor t = Tensor::F32(shape);
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < shape.elements(); ++i) t.f32()[i] = normal(random);
  return t;
}

// Keys and values of one layer in pages, and what VAR, gains and maps need. Positions: a text token that is a sink, the picture with a
// few sinks, the other text.
class Layer {
 public:
  Layer(Exec& ex, const KernelBench& b)
      : ex_(ex),
        bench_(b),
        keys_(b.visual_tokens + b.text_tokens),
        pool_(1, b.shape.kv_heads, b.shape.head_dim, PagesFor(keys_)),
        sequence_(pool_),
        k_(Gaussian({keys_, b.shape.kv_heads * b.shape.head_dim}, 1)),
        v_(Gaussian({keys_, b.shape.kv_heads * b.shape.head_dim}, 2)),
        classes_(static_cast<size_t>(keys_)),
        gain_(static_cast<size_t>(keys_)),
        scratch_(static_cast<size_t>(keys_)),
        map_(static_cast<size_t>(keys_)),
        masses_(Tensor::F32({keys_, 3 * b.shape.heads})) {
    sequence_.Extend(keys_);
    std::vector<int32_t> slots;
    for (int64_t p = 0; p < keys_; ++p) slots.push_back(sequence_.Slot(p));
    WriteKv(ex, k_, v_, slots, pool_.layer(0));
    classes_[0] = kSinkKey;
    for (int64_t i = 0; i < b.visual_tokens; ++i) {
      const bool sink = i % (b.visual_tokens / kSinkTokens) == b.visual_tokens / 8;
      classes_[static_cast<size_t>(1 + i)] = sink ? kVisualKey | kSinkKey : kVisualKey;
      gain_[static_cast<size_t>(1 + i)] = 0.2F;
    }
    // The rule's thresholds are 0: every head of a row that sees the picture is changed.
    var_ = {.classes = classes_,
            .rule = &VarByContentShare,
            .params = {.p = 0.6F, .visual_keys = static_cast<float>(b.visual_tokens)},
            .masses = {}};
    measured_ = {.classes = classes_, .rule = nullptr, .params = {}, .masses = masses_};
  }

  // The last `rows` rows.
  std::vector<AttentionTiming> Run(const std::string& phase, int64_t rows,
                                   std::vector<double>& rates) {
    const int64_t width = bench_.shape.heads * bench_.shape.head_dim;
    const Tensor q = Gaussian({rows, width}, 3);
    Tensor out = Tensor::F32({rows, width}), lse = Tensor::F32({rows, bench_.shape.heads});
    const float scale = 1 / std::sqrt(static_cast<float>(bench_.shape.head_dim));
    const auto attend = [&](const std::vector<QueryRun>& runs) {
      const AttentionArgs args{.q = q, .kv = pool_.layer(0), .runs = runs, .scale = scale};
      Attention(ex_, args, out, lse);
    };
    const std::vector<QueryRun> plain = Runs(rows, rows);
    const auto with = [&](int64_t changed, const auto& change) {
      std::vector<QueryRun> runs = Runs(rows, changed);
      change(runs.back());
      return runs;
    };
    const int64_t text = std::min(rows, bench_.text_tokens - 1);
    const auto var = with(text, [&](QueryRun& run) { run.segments = &var_; });
    const auto var_all = with(rows, [&](QueryRun& run) { run.segments = &var_; });
    const auto gain = with(1, [&](QueryRun& run) { run.variant = KeyGain{gain_, {}}; });
    const auto masses = with(1, [&](QueryRun& run) { run.segments = &measured_; });
    const std::vector<float> weights(static_cast<size_t>(bench_.shape.heads), 1.0F);
    TwoPassAttention two_pass(ex_, k_, v_, bench_.shape.head_dim);

    std::vector<Contender> contenders = {
        {"core", [&] { attend(plain); }},
        {"two_pass", [&] { two_pass.Run(ex_, q, scale, out); }},
        {"var", [&] { attend(var); }},
        {"gain", [&] { attend(gain); }},
        {"masses", [&] { attend(masses); }},
        {"map", [&] {
           attend(plain);
           const AttentionArgs args{.q = q, .kv = pool_.layer(0), .runs = plain, .scale = scale};
           AddAttentionMap({ex_, args, plain.back(), rows - 1, lse}, weights, scratch_, map_);
         }}};
    if (rows > text)
      contenders.insert(contenders.begin() + 3, {"var_all_rows", [&] { attend(var_all); }});
    return Report(phase, rows, contenders, rates);
  }

 private:
  // The rows as one run, or as two, of which the second has the last `apart` rows.
  std::vector<QueryRun> Runs(int64_t rows, int64_t apart) const {
    std::vector<QueryRun> runs;
    const int64_t first_position = keys_ - rows;
    for (const auto& [begin, end] : {std::pair{int64_t{0}, rows - apart}, {rows - apart, rows}}) {
      if (begin == end) continue;
      runs.push_back({.first_row = begin,
                      .rows = end - begin,
                      .first_position = first_position + begin,
                      .keys = first_position + end,
                      .pages = sequence_.pages()});
    }
    return runs;
  }

  std::vector<AttentionTiming> Report(const std::string& phase, int64_t rows,
                                      const std::vector<Contender>& contenders,
                                      std::vector<double>& rates) {
    std::vector<double> round_rates;
    const auto seconds = TimeInTurn(contenders, bench_.rounds, kLeastSeconds,
                                    [&] { round_rates.push_back(MeasureF32Rate(ex_)); });
    const LayerShape& s = bench_.shape;
    const double pairs = static_cast<double>(rows) *
                         (static_cast<double>(keys_) - static_cast<double>(rows - 1) / 2);
    const double flops = 4.0 * pairs * static_cast<double>(s.heads * s.head_dim);
    std::vector<AttentionTiming> timings;
    for (size_t i = 0; i < contenders.size(); ++i) {
      std::vector<double> per_second, shares;
      for (size_t r = 0; r < seconds[i].size(); ++r) {
        per_second.push_back(flops / seconds[i][r]);
        shares.push_back(per_second[r] / round_rates[r]);
      }
      timings.push_back({.contender = contenders[i].name,
                         .phase = phase,
                         .heads = s.heads,
                         .kv_heads = s.kv_heads,
                         .head_dim = s.head_dim,
                         .visual_tokens = bench_.visual_tokens,
                         .text_tokens = bench_.text_tokens,
                         .milliseconds = Scaled(SpreadOf(seconds[i]), 1000),
                         .ratio = SpreadOfRatio(seconds[i], seconds[0]),
                         .flops = SpreadOf(per_second),
                         .peak_share = SpreadOf(shares)});
    }
    rates.insert(rates.end(), round_rates.begin(), round_rates.end());
    return timings;
  }

  Exec& ex_;
  KernelBench bench_;
  int64_t keys_;
  KvPool pool_;
  KvSequence sequence_;
  Tensor k_, v_;                             // [n, K·d]
  std::vector<uint8_t> classes_;             // [n]
  std::vector<float> gain_, scratch_, map_;  // [n]
  Tensor masses_;                            // [n, 3·H]
  SegmentPolicy var_, measured_;
};

}  // namespace

std::vector<AttentionTiming> BenchKernels(Exec& ex, const KernelBench& bench,
                                          std::vector<double>& rates) {
  Layer layer(ex, bench);
  std::vector<AttentionTiming> timings =
      layer.Run("prefill", bench.visual_tokens + bench.text_tokens, rates);
  for (AttentionTiming& t : layer.Run("decode", 1, rates)) timings.push_back(std::move(t));
  return timings;
}

}  // namespace binocle
