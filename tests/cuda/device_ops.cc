#include "tests/cuda/device_ops.h"

#include <cmath>
#include <utility>

#include "attention/attention.h"
#include "attention/attention_map.h"
#include "attention/head_epilogue.h"
#include "attention/place_kv.h"
#include "attention/rope_kv.h"
#include "attention/var.h"
#include "core/ops/elementwise.h"
#include "core/ops/linear_activate.h"
#include "core/ops/norm.h"
#include "core/ops/product_rows.h"
#include "core/ops/rope.h"
#include "core/ops/swiglu.h"
#include "fusion/resample.h"
#include "llm/grouped_out.h"
#include "llm/sinks.h"
#include "tests/cuda/device_compare.h"
#include "tests/testing/numbers.h"

namespace binocle::testing {
namespace {

// Rows are parts of longer ones, weights two parts stacked, as a decoder's.
void CompareProducts(Devices& d, WeightKind kind, int64_t rows, int64_t depth) {
  const std::string name = internal::Concat(WeightKindName(kind), " [", rows, ", ", depth, "]");
  Numbers numbers(5);
  const Tensor first = RandomTensor({70, depth}, numbers),
               second = RandomTensor({11, depth}, numbers);
  const Tensor first_bias = RandomTensor({70}, numbers), second_bias = RandomTensor({11}, numbers);
  const Tensor x = RandomTensor({rows, depth + 12}, numbers), y = RandomTensor({rows, 81}, numbers);
  const std::vector<StoredLinear> parts = {{.weight = first, .bias = first_bias},
                                           {.weight = second, .bias = second_bias}};
  const LinearWeights host = PackLinear(d.host, parts, kind),
                      device = PackLinear(d.gpu, parts, kind);
  const Tensor device_x = d.On(x), device_y = d.On(y), wider = d.Empty({rows, 90});
  const TensorView some = x.view().Columns(4, 4 + depth),
                   device_some = device_x.view().Columns(4, 4 + depth);
  const Tensor want = Tensor::F32({rows, 81});
  Linear(d.host, some, host, want);
  Linear(d.gpu, device_some, device, wider.view().Columns(6, 87));
  const double tolerance = 1e-5;
  d.Expect("product, " + name, Off(d.gpu, wider.view().Columns(6, 87), want), tolerance);
  LinearAdd(d.host, some, host, y);
  LinearAdd(d.gpu, device_some, device, device_y);
  d.Expect("sum, " + name, Off(d.gpu, device_y, y), tolerance);
}

void CompareChains(Devices& d, WeightKind kind, int64_t rows, int64_t depth) {
  Numbers numbers(6);
  const Tensor in = RandomTensor({128, depth}, numbers), out = RandomTensor({depth, 128}, numbers),
               gate = RandomTensor({256, depth}, numbers);
  const Tensor x = RandomTensor({rows, depth}, numbers);
  const auto weights = [&](Exec& ex, const Tensor& w) {
    return PackLinear(ex, {{.weight = w, .bias = {}}}, kind);
  };
  const auto run = [&](Exec& ex, const TensorView& rows_in, const TensorView& hidden,
                       const TensorView& gated, const TensorView& result) {
    const LinearWeights first = weights(ex, in), last = weights(ex, out), gates = weights(ex, gate);
    const TensorView between = RowsBetween(first, last, hidden);
    LinearActivate(ex, rows_in, first, Activation::kGelu, between);
    Linear(ex, between, last, result);
    SwiGlu(ex, rows_in, gates, gated, RowsBetween(gates, last, hidden));
    LinearAdd(ex, RowsBetween(gates, last, hidden), last, result);
  };
  const Tensor hidden = Tensor::F32({rows, 128}), gated = Tensor::F32({rows, 256}),
               want = Tensor::F32({rows, depth});
  run(d.host, x, hidden, gated, want);
  const Tensor got = d.Empty({rows, depth});
  run(d.gpu, d.On(x), d.Empty({rows, 128}), d.Empty({rows, 256}), got);
  d.Expect(internal::Concat("feed-forward, ", WeightKindName(kind), " [", rows, ", ", depth, "]"),
           Off(d.gpu, got, want), kind == WeightKind::kF32 ? 1e-5 : 3e-2);
}

void CompareRowOps(Devices& d) {
  Numbers numbers(7);
  const Tensor x = RandomTensor({5, 96}, numbers), y = RandomTensor({5, 96}, numbers),
               gamma = RandomTensor({96}, numbers);
  const Tensor device_x = d.On(x), device_y = d.On(y);
  LayerNormWeights norm{RandomTensor({96}, numbers), RandomTensor({96}, numbers)};
  const LayerNormWeights device_norm{ToPlace(d.gpu, norm.weight.Clone()),
                                     ToPlace(d.gpu, norm.bias.Clone())};
  const Tensor want = Tensor::F32({5, 96}), got = d.Empty({5, 96});
  LayerNorm(d.host, x, norm, want);
  LayerNorm(d.gpu, device_x, device_norm, got);
  d.Expect("layer norm", Off(d.gpu, got, want), 1e-6);
  RmsNorm(d.host, x, {norm.weight.Clone()}, want);
  RmsNorm(d.gpu, device_x, {ToPlace(d.gpu, norm.weight.Clone())}, got);
  d.Expect("rms norm", Off(d.gpu, got, want), 1e-6);
  // Heads of a part of the columns, in place.
  const RmsNormWeights of_head{RandomTensor({16}, numbers)};
  HeadRmsNorm(d.host, of_head, x.view().Columns(32, 96));
  HeadRmsNorm(d.gpu, {ToPlace(d.gpu, of_head.weight.Clone())}, device_x.view().Columns(32, 96));
  d.Expect("rms norm of heads", Off(d.gpu, device_x, x), 1e-6);
  const RopeTable rope = RopeTable::Make(16, {}, 40);
  const std::vector<int32_t> positions = {0, 39, 7, 7, 1};
  Rope(d.host, rope, positions, x.view().Columns(0, 64));
  Rope(d.gpu, RopeTable::Make(16, {}, 40).On(d.gpu), positions, device_x.view().Columns(0, 64));
  d.Expect("rope", Off(d.gpu, device_x, x), 1e-6);
  AddRows(d.host, x, y);
  AddRows(d.gpu, device_x, device_y);
  AddScaledRows(d.host, x, gamma, y);
  AddScaledRows(d.gpu, device_x, ToPlace(d.gpu, gamma.Clone()), device_y);
  ScaleRows(d.host, x.view().Columns(8, 24), 0.5F);
  ScaleRows(d.gpu, device_x.view().Columns(8, 24), 0.5F);
  d.Expect("sums of rows", Off(d.gpu, device_x, x), 1e-6);
  MixRows(d.host, 0.3F, x, 0.7F, y, want);
  MixRows(d.gpu, 0.3F, device_x, 0.7F, device_y, got);
  d.Expect("mixed rows", Off(d.gpu, got, want), 1e-6);
  const Tensor scores = Tensor::F32({5, 2}), device_scores = d.Empty({5, 2});
  ScoreSinks(d.host, x, {3, 90}, scores);
  ScoreSinks(d.gpu, device_x, {3, 90}, device_scores);
  d.Expect("scores of sinks", Off(d.gpu, device_scores, scores), 1e-6);
}

void CompareMoves(Devices& d) {
  Numbers numbers(8);
  const Tensor x = RandomTensor({6, 20}, numbers);
  const Tensor wide = d.Empty({6, 50}), back = Tensor::F32({6, 40});
  CopyRows(d.gpu, x, wide.view().Columns(7, 27));                             // up, apart
  CopyRows(d.gpu, wide.view().Columns(7, 27), wide.view().Columns(30, 50));   // there
  CopyRows(d.gpu, wide.view().Columns(30, 50), back.view().Columns(10, 30));  // down, apart
  d.Expect("rows, up and down", Off(d.gpu, back.view().Columns(10, 30), x), 0);
  const std::vector<int32_t> ids = {5, 0, 5};
  const Tensor rows = d.Empty({3, 20}), want = Tensor::F32({3, 20});
  EmbeddingRows(d.gpu, d.On(x), ids, rows);
  EmbeddingRows(d.host, x, ids, want);
  d.Expect("embeddings", Off(d.gpu, rows, want), 0);
  const Tensor grid = RandomTensor({12, 20}, numbers), resampled = Tensor::F32({20, 20}),
               device_resampled = d.Empty({20, 20});
  ResampleBilinear(d.host, grid, {3, 4}, {4, 5}, resampled);
  ResampleBilinear(d.gpu, d.On(grid), {3, 4}, {4, 5}, device_resampled);
  d.Expect("resampled rows", Off(d.gpu, device_resampled, resampled), 1e-6);
}

void CompareSumsOfColumns(Devices& d) {
  Numbers numbers(9);
  const Tensor w = RandomTensor({48, 64}, numbers), bias = RandomTensor({48}, numbers),
               x = RandomTensor({3, 16}, numbers);
  const std::vector<StoredLinear> parts = {{.weight = w, .bias = bias}};
  const Tensor want = Tensor::F32({3, 48}), got = d.Empty({3, 48});
  Linear(d.host, x, SumOverGroups(d.host, PackLinear(d.host, parts), 1, 16), want);
  Linear(d.gpu, d.On(x), SumOverGroups(d.gpu, PackLinear(d.gpu, parts), 1, 16), got);
  d.Expect("sums of columns", Off(d.gpu, got, want), 1e-5);
}

struct Side {
  Side(Exec& exec, DType dtype, int64_t head_dim)
      : ex(exec), pool(1, 2, head_dim, 24, dtype, exec.place()) {}
  Exec& ex;
  KvPool pool;
  std::vector<KvSequence> sequences;
};

void CompareAttention(Devices& d, DType dtype, int64_t dim) {
  constexpr int64_t kHeads = 6;
  Numbers numbers(10);
  const Tensor k = RandomTensor({300, 2 * dim}, numbers), v = RandomTensor({300, 2 * dim}, numbers);
  const Tensor q = RandomTensor({60, kHeads * dim}, numbers);
  const RopeTable rope = RopeTable::Make(dim, {}, 400);
  const RopeTable by_frequency = rope.ByFrequency();
  const RopeTable device_rope = RopeTable::Make(dim, {}, 400).On(d.gpu);
  const Tensor device_k = d.On(k), device_v = d.On(v), device_q = d.On(q);
  Side host(d.host, dtype, dim), gpu(d.gpu, dtype, dim);
  const auto fill = [&](Side& side, const TensorView& keys, const TensorView& values,
                        const RopeTable& table) {
    KvSequence sequence(side.pool);
    sequence.Extend(150);
    std::vector<int32_t> slots;
    for (int64_t p = 0; p < 100; ++p) slots.push_back(sequence.Slot(p));
    WriteKv(side.ex, keys.Rows(0, 100), values.Rows(0, 100), slots, side.pool.layer(0));
    // A picture that was kept, rotated into place.
    const Device device = keys.device();
    const Tensor memory = Tensor::F32({KeptKv::Floats(2, dim, 50)}, "kept", side.ex.place());
    KeptKv kept = KeptKv::In(memory.f32(), 2, dim, 50, device);
    kept.Store(side.ex, keys.Rows(100, 150), values.Rows(100, 150), 0);
    PlaceKv(side.ex, {&kept, 1}, table, 100, side.pool, sequence);
    KvSequence fork = sequence.Fork();
    fork.Extend(30);  // copies the last page
    slots.clear();
    for (int64_t p = 150; p < 180; ++p) slots.push_back(fork.Slot(p));
    WriteKv(side.ex, keys.Rows(150, 180), values.Rows(150, 180), slots, side.pool.layer(0));
    side.sequences.push_back(std::move(sequence));
    side.sequences.push_back(std::move(fork));
  };
  fill(host, k, v, by_frequency);
  fill(gpu, device_k, device_v, device_rope);

  std::vector<float> gain(300);
  for (float& g : gain) g = std::abs(numbers.Normal(0.3F));
  std::vector<float> bias(300), factor_of_heads(kHeads);
  for (float& b : bias) b = numbers.Normal();
  for (float& f : factor_of_heads) f = numbers.Normal();
  std::vector<uint8_t> classes(300);
  for (int64_t key = 20; key < 90; ++key) classes[static_cast<size_t>(key)] = kVisualKey;
  for (const size_t key : {0, 30, 110}) classes[key] |= kSinkKey;
  const Tensor masses = Tensor::F32({60, 3 * kHeads}), device_masses = d.Empty({60, 3 * kHeads});
  const auto run = [&](Side& side, const TensorView& queries, const TensorView& of_masses,
                       const TensorView& out, const TensorView& lse, int64_t window) {
    const SegmentPolicy var{.classes = classes,
                            .rule = &VarByContentShare,
                            .params = {.p = 0.6F, .rho = 0.1F, .mass = 0.1F},
                            .masses = of_masses};
    const auto of = [&](size_t s, int64_t first_row, int64_t rows, int64_t first_position) {
      return QueryRun{.first_row = first_row,
                      .rows = rows,
                      .first_position = first_position,
                      .keys = first_position + rows,
                      .pages = side.sequences[s].pages()};
    };
    const SegmentPolicy released{
        .classes = classes,
        .rule = &VarBySinkShare,
        .params = {.p = 0.4F, .rho = 0.5F, .mass = 0.1F, .visual_keys = 70},
        .masses = of_masses};
    std::vector<QueryRun> runs = {of(0, 0, 40, 110),  of(1, 40, 1, 179), of(0, 41, 1, 149),
                                  of(1, 42, 10, 170), of(1, 52, 1, 160), of(1, 53, 2, 165),
                                  of(0, 55, 2, 130),  of(0, 57, 3, 140)};
    runs[3].segments = &var;
    runs[4].variant = KeyGain{gain, factor_of_heads};
    runs[5].variant = KeyBias{bias};
    runs[6].variant = SoftCap{0.7F};
    runs[7].segments = &released;
    const AttentionArgs args{.q = queries,
                             .kv = side.pool.layer(0),
                             .runs = runs,
                             .mask = Mask::kCausal,
                             .scale = 0.2F,
                             .window = window};
    Attention(side.ex, args, out, lse);
    std::vector<float> weights(180), map(180), scratch(180), factor(kHeads, 0.5F);
    AddAttentionMap({side.ex, args, runs[3], 9, lse}, factor, scratch, map);
    AttentionWeights({side.ex, args, runs[1], 0, lse}, 3, weights);
    map.insert(map.end(), weights.begin(), weights.end());
    return map;
  };
  const double tolerance = dtype == DType::kF32 ? 1e-5 : 2e-2;
  for (const int64_t window : {0, 70}) {
    const std::string name = internal::Concat(DTypeName(dtype), ", d = ", dim, ", window ", window);
    const Tensor want = Tensor::F32({60, kHeads * dim}), lse = Tensor::F32({60, kHeads});
    const Tensor got = d.Empty({60, kHeads * dim}), device_lse = d.Empty({60, kHeads});
    const std::vector<float> map = run(host, q, masses, want, lse, window);
    const std::vector<float> device_map =
        run(gpu, device_q, device_masses, got, device_lse, window);
    d.Expect("attention, " + name, Off(d.gpu, got, want), tolerance);
    d.Expect("its LSE, " + name, Off(d.gpu, device_lse, lse), dtype == DType::kF32 ? 1e-6 : 2e-4);
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{42, 52}, {57, 60}})
      d.Expect("masses, " + name,
               Off(d.gpu, device_masses.view().Rows(begin, end), masses.view().Rows(begin, end)),
               tolerance);
    double worst = 0;
    for (size_t j = 0; j < map.size(); ++j)
      worst = std::max(worst, std::abs(static_cast<double>(device_map[j]) - map[j]));
    d.Expect("maps, " + name, worst, tolerance);
  }
}

// What towers ask for: pictures of as many tokens each, all of which see all.
void CompareWholeAttention(Devices& d) {
  constexpr int64_t kHeads = 4, kDim = 40, kRows = 260, kKeys = 300;
  Numbers numbers(15);
  const Tensor q = RandomTensor({2 * kRows, kHeads * kDim}, numbers);
  const Tensor k = RandomTensor({2 * kKeys, 2 * kDim}, numbers),
               v = RandomTensor({2 * kKeys, 2 * kDim}, numbers);
  const Tensor device_q = d.On(q), device_k = d.On(k), device_v = d.On(v);
  Side host(d.host, DType::kBF16, kDim), gpu(d.gpu, DType::kBF16, kDim);
  const auto run = [&](Side& side, const TensorView& queries, const TensorView& keys,
                       const TensorView& values, const TensorView& out, const TensorView& lse) {
    std::vector<QueryRun> runs;
    std::vector<int32_t> slots;
    for (int64_t r = 0; r < 2; ++r) {
      side.sequences.emplace_back(side.pool);
      side.sequences.back().Extend(kKeys);
      for (int64_t p = 0; p < kKeys; ++p) slots.push_back(side.sequences.back().Slot(p));
    }
    WriteKv(side.ex, keys, values, slots, side.pool.layer(0));
    for (int64_t r = 0; r < 2; ++r)
      runs.push_back(
          {.first_row = r * kRows,
           .rows = kRows,
           .keys = kKeys,
           .pages = side.sequences[side.sequences.size() - 2 + static_cast<size_t>(r)].pages()});
    Attention(
        side.ex,
        {.q = queries, .kv = side.pool.layer(0), .runs = runs, .mask = Mask::kNone, .scale = 0.2F},
        out, lse);
  };
  const Tensor want = Tensor::F32({2 * kRows, kHeads * kDim}),
               lse = Tensor::F32({2 * kRows, kHeads});
  const Tensor got = d.Empty({2 * kRows, kHeads * kDim}), device_lse = d.Empty({2 * kRows, kHeads});
  run(host, q, k, v, want, lse);
  run(gpu, device_q, device_k, device_v, got, device_lse);
  d.Expect("attention of a tower", Off(d.gpu, got, want), 2e-2);
  d.Expect("its LSE, of a tower", Off(d.gpu, device_lse, lse), 2e-4);
}

// Two sequences that share nothing: a prompt over as many pages as a picture and a question are, and steps of both under VAR.
void CompareSequencesApart(Devices& d) {
  constexpr int64_t kHeads = 6, kDim = 64, kLong = 680, kShort = 140, kRows = 22;
  Numbers numbers(16);
  const Tensor q = RandomTensor({kRows, kHeads * kDim}, numbers);
  const Tensor k = RandomTensor({kLong + kShort, 2 * kDim}, numbers),
               v = RandomTensor({kLong + kShort, 2 * kDim}, numbers);
  const Tensor device_q = d.On(q), device_k = d.On(k), device_v = d.On(v);
  std::vector<uint8_t> classes(kLong, kVisualKey);
  for (const size_t key : {0, 30, 110, 135}) classes[key] |= kSinkKey;
  Side host(d.host, DType::kBF16, kDim), gpu(d.gpu, DType::kBF16, kDim);
  const auto run = [&](Side& side, const TensorView& queries, const TensorView& keys,
                       const TensorView& values, const TensorView& out, const TensorView& lse) {
    const SegmentPolicy var{.classes = classes,
                            .rule = &VarByContentShare,
                            .params = {.p = 0.6F, .rho = 0.1F, .mass = 0.1F}};
    std::vector<int32_t> slots;
    for (const int64_t count : {kLong, kShort}) {
      side.sequences.emplace_back(side.pool);
      side.sequences.back().Extend(count);
      for (int64_t p = 0; p < count; ++p) slots.push_back(side.sequences.back().Slot(p));
    }
    WriteKv(side.ex, keys, values, slots, side.pool.layer(0));
    const auto of = [&](size_t s, int64_t first_row, int64_t rows, int64_t count) {
      return QueryRun{.first_row = first_row,
                      .rows = rows,
                      .first_position = count - rows,
                      .keys = count,
                      .pages = side.sequences[s].pages()};
    };
    std::vector<QueryRun> runs = {of(0, 0, 20, kLong), of(0, 20, 1, kLong), of(1, 21, 1, kShort)};
    runs[1].segments = runs[2].segments = &var;
    Attention(side.ex,
              {.q = queries,
               .kv = side.pool.layer(0),
               .runs = runs,
               .mask = Mask::kCausal,
               .scale = 0.2F},
              out, lse);
  };
  const Tensor want = Tensor::F32({kRows, kHeads * kDim}), lse = Tensor::F32({kRows, kHeads});
  const Tensor got = d.Empty({kRows, kHeads * kDim}), device_lse = d.Empty({kRows, kHeads});
  run(host, q, k, v, want, lse);
  run(gpu, device_q, device_k, device_v, got, device_lse);
  d.Expect("attention of sequences apart", Off(d.gpu, got, want), 2e-2);
  d.Expect("its LSE, of sequences apart", Off(d.gpu, device_lse, lse), 2e-4);
}

// Rotated, written and attended over: what a decoder's layer asks for, whose queries are rounded on the way where pages are.
void CompareRopeKv(Devices& d, DType dtype) {
  constexpr int64_t kHeads = 6, kDim = 24, kRows = 20;
  Numbers numbers(14);
  const Tensor qkv = RandomTensor({kRows, (kHeads + 4) * kDim}, numbers);
  const Tensor device_qkv = d.On(qkv);
  const Tensor rounded(DType::kBF16, {kRows, kHeads * kDim}, "rounded", d.gpu.place());
  const RopeTable rope = RopeTable::Make(kDim, {}, 64);
  const RopeTable device_rope = RopeTable::Make(kDim, {}, 64).On(d.gpu);
  Side host(d.host, dtype, kDim), gpu(d.gpu, dtype, kDim);
  const auto run = [&](Side& side, const TensorView& rows, const RopeTable& table,
                       const TensorView& out, const TensorView& lse) {
    KvSequence sequence(side.pool);
    sequence.Extend(kRows);
    std::vector<int32_t> positions, slots;
    for (int32_t p = 0; p < kRows; ++p) {
      positions.push_back(p);
      slots.push_back(sequence.Slot(p));
    }
    const TensorView q = rows.Columns(0, kHeads * kDim);
    const bool rounds = dtype == DType::kBF16 && q.on_cuda();
    const TensorView rotated = rounds ? rounded.view() : q;
    RopeAndWriteKv(side.ex, table,
                   {.q = q,
                    .k = rows.Columns(kHeads * kDim, (kHeads + 2) * kDim),
                    .v = rows.Columns((kHeads + 2) * kDim, (kHeads + 4) * kDim),
                    .positions = positions,
                    .slots = slots,
                    .scale = 0.3F},
                   side.pool.layer(0), rotated);
    const std::vector<QueryRun> runs = {
        {.first_row = 0, .rows = kRows, .keys = kRows, .pages = sequence.pages()}};
    Attention(side.ex,
              {.q = rotated,
               .kv = side.pool.layer(0),
               .runs = runs,
               .mask = Mask::kCausal,
               .scale = rounds ? 1.0F : 0.3F},
              out, lse);
    side.sequences.push_back(std::move(sequence));
  };
  const Tensor want = Tensor::F32({kRows, kHeads * kDim}), lse = Tensor::F32({kRows, kHeads});
  const Tensor got = d.Empty({kRows, kHeads * kDim}), device_lse = d.Empty({kRows, kHeads});
  run(host, qkv, rope, want, lse);
  run(gpu, device_qkv, device_rope, got, device_lse);
  const std::string name = std::string("after rope, ") + std::string(DTypeName(dtype));
  d.Expect("attention " + name, Off(d.gpu, got, want), dtype == DType::kF32 ? 1e-5 : 2e-2);
  d.Expect("its LSE " + name, Off(d.gpu, device_lse, lse), dtype == DType::kF32 ? 1e-6 : 1e-4);
}

void CompareHeadEpilogues(Devices& d) {
  Numbers numbers(11);
  const Tensor z = RandomTensor({4, 24}, numbers), v = RandomTensor({4, 12}, numbers),
               factor = RandomTensor({4, 6}, numbers);
  const Tensor device_z = d.On(z), device_v = d.On(v), device_factor = d.On(factor);
  GateHeads(d.host, factor, z);
  GateHeads(d.gpu, device_factor, device_z);
  MixOwnValue(d.host, factor, v, z);
  MixOwnValue(d.gpu, device_factor, device_v, device_z);
  d.Expect("head epilogues", Off(d.gpu, device_z, z), 1e-6);
}

}  // namespace

std::vector<DeviceDifference> CompareDeviceOps(Exec& host, Exec& gpu) {
  std::vector<DeviceDifference> found;
  Devices d{host, gpu, found};
  for (const WeightKind kind :
       {WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8, WeightKind::kInt4}) {
    for (const int64_t rows : {1, 3, 16, 17, 40}) {
      for (const int64_t depth : {64, 100, 192}) {
        CompareProducts(d, kind, rows, depth);
        CompareChains(d, kind, rows, depth);
      }
    }
  }
  // Kernels of few rows go over a row in turns of 512 or 1,024 numbers.
  for (const WeightKind kind : {WeightKind::kInt8, WeightKind::kInt4})
    for (const auto& [rows, depth] :
         {std::pair<int64_t, int64_t>{3, 520}, {16, 1100}, {2, 2112}, {1, 4160}})
      CompareProducts(d, kind, rows, depth);
  CompareRowOps(d);
  CompareMoves(d);
  CompareWholeAttention(d);
  CompareSequencesApart(d);
  CompareSumsOfColumns(d);
  for (const DType dtype : {DType::kF32, DType::kBF16})
    for (const int64_t dim : {24, 32, 160}) CompareAttention(d, dtype, dim);
  // The other widths of AttendTiles: 40 is a tower's above.
  for (const int64_t dim : {72, 96, 128}) CompareAttention(d, DType::kBF16, dim);
  for (const DType dtype : {DType::kF32, DType::kBF16}) CompareRopeKv(d, dtype);
  CompareHeadEpilogues(d);
  CompareDecoding(d);
  return found;
}

}  // namespace binocle::testing
