#include "tests/simt/planted/problems.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "attention/attention_ref.h"
#include "attention/var.h"
#include "core/ops/compact_rows.h"
#include "core/ops/norm_ref.h"
#include "core/ops/rope.h"
#include "llm/sampling.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::Within;

constexpr double kBf16Out = 1.5e-2, kF32Out = 2e-5, kLse = 1e-4;

simt::Array<float> Copy(const char* name, const TensorView& t) {
  return {name, std::vector<float>(t.f32(), t.f32() + t.elements())};
}

template <typename Element, typename Attend>
void Attention(const PlantedKernels& kernels, DType dtype, int64_t window, double tolerance,
               const Attend& attend, Outcome& outcome) {
  const Problem p({.heads = 6, .kv_heads = 2, .d = 64, .kv_dtype = dtype},
                  {{9, 200}, {1, 7}, {1, 256}, {17, 100}, {2, 330}, {12, 300}}, 21);
  AttentionArgs args = p.args(Mask::kCausal);
  args.window = window;
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(args, want, want_lse);
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2, .window = window}, plan);
  DeviceProblem<Element> device(p, args);
  device.merge = kernels.merge;
  device.Solve(plan, {cuda::TilePolicy{}}, attend);
  outcome.right = outcome.right && Within(device.out.span(), want, tolerance, "out") &&
                  Within(device.lse.span(), want_lse, kLse, "lse");
}

void Tiles(const PlantedKernels& kernels, Outcome& outcome) {
  Attention<Bf16>(kernels, DType::kBF16, 0, kBf16Out, kernels.tiles, outcome);
  Attention<Bf16>(kernels, DType::kBF16, 70, kBf16Out, kernels.tiles, outcome);
}

void Rows(const PlantedKernels& kernels, Outcome& outcome) {
  Attention<float>(kernels, DType::kF32, 0, kF32Out, kernels.rows, outcome);
}

// Gains and a VAR rule on 18 rows of a prompt with sinks at 0 and among visual keys, whose last one some rows do not see.
void Varied(const PlantedKernels& kernels, Outcome& outcome) {
  constexpr int64_t kKeys = 150;
  testing::Numbers numbers(3);
  std::vector<float> gain(192, 0);
  std::vector<uint8_t> classes(192, 0);
  for (size_t j = 0; j < kKeys; ++j) gain[j] = numbers.Normal(0.5F);
  for (size_t j = 20; j < 145; ++j) classes[j] = j % 17 == 3 ? kVisualKey | kSinkKey : kVisualKey;
  classes[0] = classes[140] = kVisualKey | kSinkKey;
  Problem p({.heads = 4, .kv_heads = 2, .d = 64, .kv_dtype = DType::kBF16}, {{18, kKeys}}, 5);
  const VarParams params{.p = 0.6F, .rho = 0.5F, .mass = 0.1F, .visual_keys = 125};
  const SegmentPolicy policy{.classes = classes, .rule = &VarByContentShare, .params = params};
  p.runs[0].segments = &policy;
  p.runs[0].variant = KeyGain{gain, {}};
  const AttentionArgs args = p.args(Mask::kCausal);
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(args, want, want_lse);
  const simt::Array<float> device_gain("gain", gain);
  const simt::Array<uint8_t> device_classes("classes", classes);
  const std::vector<cuda::TilePolicy> policies = {{},
                                                  {.kind = cuda::ScoreKind::kKeyGain,
                                                   .by_key = device_gain.data(),
                                                   .classes = device_classes.data()}};
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 4, .kv_heads = 2}, plan);
  DeviceProblem<Bf16> device(p, args);
  device.Solve(plan, policies, kernels.varied);
  std::vector<int32_t> sinks;
  for (int32_t j = 0; j < kKeys; ++j)
    if ((classes[static_cast<size_t>(j)] & kSinkKey) != 0) sinks.push_back(j);
  std::vector<cuda::SinkRow> rows;
  for (int32_t r = 0; r < 18; ++r)
    rows.push_back({r, r, 0, static_cast<int32_t>(kKeys) - 17 + r, 0, 1, 0});
  const simt::Array<int32_t> device_sinks("sinks", sinks),
      counts("sink counts", std::vector<int32_t>{static_cast<int32_t>(sinks.size()),
                                                 static_cast<int32_t>(sinks.size())}),
      pages("pages", std::vector<int32_t>(p.runs[0].pages.begin(), p.runs[0].pages.end()));
  const simt::Array<cuda::TilePolicy> device_policies("policies", policies);
  // A second one that nothing may change: it asks for visual sinks, and is told of none.
  const simt::Array<int32_t> no_visual_ones(
      "other sink counts", std::vector<int32_t>{static_cast<int32_t>(sinks.size()), 0});
  const simt::Array<cuda::SinkPolicy> sink_policies(
      "sink policies",
      std::vector<cuda::SinkPolicy>{
          {device_sinks.data(), counts.data(), false, cuda::DeviceRule::kContentShare, params},
          {device_sinks.data(), no_visual_ones.data(), true, cuda::DeviceRule::kContentShare,
           params}});
  for (const int32_t policy_of_sinks : {1, 0}) {
    for (cuda::SinkRow& row : rows) row.sink_policy = policy_of_sinks;
    const simt::Array<cuda::SinkRow> device_rows("sink rows", rows);
    kernels.sinks({.shape = device.shape(),
                   .q = device.q.data(),
                   .q_stride = 4 * 64,
                   .kv = {device.keys.data(), device.values.data()},
                   .rows = device_rows.data(),
                   .count = 18,
                   .pages = pages.data(),
                   .policies = device_policies.data(),
                   .sink_policies = sink_policies.data(),
                   .result = {device.out.data(), device.lse.data(), device.content_out.data(),
                              device.content_lse.data()},
                   .masses = nullptr,
                   .gains = nullptr});
  }
  outcome.right = Within(device.out.span(), want, 2 * kBf16Out, "out") &&
                  Within(device.lse.span(), want_lse, kLse, "lse");
}

void IntoPages(const PlantedKernels& kernels, Outcome& outcome) {
  constexpr int64_t kRows = 4, kHeads = 4, kKvHeads = 2, kDim = 24, kWidth = 32;
  testing::Numbers numbers(4);
  const Tensor q = testing::RandomTensor({kRows, kHeads * kDim}, numbers),
               k = testing::RandomTensor({kRows, kKvHeads * kDim}, numbers),
               v = testing::RandomTensor({kRows, kKvHeads * kDim}, numbers);
  const std::vector<int32_t> positions = {7, 9, 3, 30}, slots = {64, 3, 67, 0};
  const RopeTable table = RopeTable::Make(kDim, {}, 32);
  const auto device_q = Copy("q", q), device_k = Copy("k", k), device_v = Copy("v", v),
             c = Copy("cos", table.cos), s = Copy("sin", table.sin);
  const simt::Array<int32_t> device_positions("positions", positions), device_slots("slots", slots);
  const simt::Array<Bf16> keys("keys", 2 * kKvHeads * 64 * kWidth),
      values("values", 2 * kKvHeads * 64 * kWidth), rotated("rotated", kRows * kHeads * kDim);
  kernels.write_kv({.kv = {.shape = {.heads = kHeads,
                                     .kv_heads = kKvHeads,
                                     .group = 2,
                                     .head_dim = kDim,
                                     .kv_row = kWidth},
                           .k = device_k.data(),
                           .v = device_v.data(),
                           .k_stride = kKvHeads * kDim,
                           .v_stride = kKvHeads * kDim,
                           .slots = device_slots.data(),
                           .rows = kRows,
                           .cos = c.data(),
                           .sin = s.data(),
                           .positions = device_positions.data()},
                    .keys = keys.data(),
                    .values = values.data(),
                    .q = device_q.data(),
                    .q_stride = kHeads * kDim,
                    .rotated = rotated.data(),
                    .rotated_stride = kHeads * kDim,
                    .scale = 0.3F});
  Exec ex(1);
  Rope(ex, table, positions, q);
  Rope(ex, table, positions, k);
  const auto near = [&](Bf16 got, float want) {
    outcome.right = outcome.right && std::abs(F32FromBf16(got.bits) - want) <= 1e-2;
  };
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kHeads * kDim; ++i)
      near(rotated[static_cast<size_t>(row * kHeads * kDim + i)], 0.3F * q.row(row)[i]);
    for (int64_t i = 0; i < kKvHeads * kWidth; ++i) {
      const int64_t slot = slots[static_cast<size_t>(row)], head = i / kWidth, dim = i % kWidth;
      const auto at =
          static_cast<size_t>(((slot / 64 * kKvHeads + head) * 64 + slot % 64) * kWidth + dim);
      near(keys[at], dim < kDim ? k.row(row)[head * kDim + dim] : 0);
      near(values[at], dim < kDim ? v.row(row)[head * kDim + dim] : 0);
    }
  }
}

void Sampling(const PlantedKernels& kernels, Outcome& outcome) {
  constexpr int32_t kVocabulary = 1100;
  testing::Numbers numbers(2);
  std::vector<float> logits(kVocabulary);
  for (float& x : logits) x = std::round(numbers.Normal(2) * 2) / 2 - 9;
  logits[500] = logits[301] = 0.0F;
  logits[77] = -0.0F;
  const simt::Array<float> device_logits("logits", logits);
  const simt::Array<uint64_t*> observed("observed", std::vector<uint64_t*>{nullptr});
  const simt::Array<const uint64_t*> allowed("allowed", std::vector<const uint64_t*>{nullptr});
  for (const SamplingParams& params :
       {SamplingParams{}, SamplingParams{.temperature = 2, .seed = 1},
        SamplingParams{.temperature = 3, .top_p = 0.7, .seed = 2},
        SamplingParams{.temperature = 5, .top_p = 0.5, .seed = 3},
        SamplingParams{.temperature = 3, .top_k = 30, .top_p = 0.9, .seed = 4}}) {
    Sampler sampler(params, kVocabulary);
    for (uint64_t step = 0; step < 3; ++step) {
      const simt::Array<cuda::SampleParams> device_params(
          "params", std::vector<cuda::SampleParams>{
                        {params.temperature, static_cast<int32_t>(params.top_k), params.top_p,
                         params.min_p, 1, UniformAt(params.seed, step)}});
      const auto ids = simt::Array<int32_t>::Writable("ids", {-7});
      kernels.sample({device_logits.data(), 1, kVocabulary, kVocabulary, device_params.data(),
                      observed.data(), allowed.data(), ids.data()});
      outcome.right = outcome.right && ids[0] == sampler.Sample(logits);
    }
  }
}

void Compact(const PlantedKernels& kernels, Outcome& outcome) {
  // A warp's lanes come again after 512 weights of a byte, and after 1,024 of four bits.
  constexpr int32_t kRows = 5, kFeatures = 7, kDepth = 1152;
  testing::Numbers numbers(7);
  const Tensor x = testing::RandomTensor({kRows, kDepth}, numbers);
  for (int64_t i = 0; i < kDepth; ++i) x.row(kRows - 1)[i] *= 1e-37F;  // all but zero
  std::vector<uint8_t> q(size_t{kFeatures} * kDepth), factors(size_t{kFeatures} * kDepth / 64);
  for (uint8_t& byte : q) byte = static_cast<uint8_t>(numbers.Int(0, 255));
  for (uint8_t& byte : factors) byte = static_cast<uint8_t>(numbers.Int(0, 255));
  const auto device_x = Copy("x", x);
  const simt::Array<int8_t> bytes("bytes", size_t{kRows} * kDepth);
  const simt::Array<float> scales("scales", kRows),
      scale("scale", std::vector<float>(kFeatures, 0.5F));
  const simt::Array<int32_t> sums("sums", size_t{kRows} * kDepth / 32);
  const cuda::ByteRows rows{bytes.data(), scales.data(), sums.data()};
  kernels.as_bytes({device_x.data(), kDepth, kRows, kDepth, rows});
  const simt::Array<uint8_t> device_q("q", q), device_factors("factors", factors);
  std::vector<uint8_t> as_bytes(kDepth);
  for (const bool four_bits : {false, true}) {
    const simt::Array<float> y("y", size_t{kRows} * kFeatures);
    const size_t size = q.size() / (four_bits ? 2 : 1);
    const simt::Array<uint8_t> weights(
        "weights", std::vector<uint8_t>(q.begin(), q.begin() + static_cast<std::ptrdiff_t>(size)));
    kernels.multiply({rows,
                      kRows,
                      {weights.data(), four_bits ? device_factors.data() : nullptr, scale.data(),
                       nullptr, kFeatures, kDepth},
                      cuda::Add::kNo,
                      y.data(),
                      kFeatures});
    for (int32_t r = 0; r < kRows; ++r) {
      const float row_scale = RowAsBytes(x.row(r), kDepth, kDepth, as_bytes.data());
      for (size_t n = 0; n < kFeatures; ++n) {
        int sum = 0;
        for (size_t k = 0; k < kDepth; ++k) {
          const size_t at = n * kDepth + k;
          const int half = q[at / 8 * 4 + at % 4] >> (at % 8 / 4 * 4) & 15;
          const int factor = factors[at / 64] >> (at / 32 % 2 * 4) & 15;
          const int w = four_bits ? factor * (half - 8) : static_cast<int8_t>(q[at]);
          sum += w * (as_bytes[k] - kByteOffset);
        }
        const float want = static_cast<float>(sum) * (0.5F * row_scale);
        outcome.right = outcome.right && y[static_cast<size_t>(r) * kFeatures + n] == want;
      }
    }
  }
}

void Ops(const PlantedKernels& kernels, Outcome& outcome) {
  constexpr int32_t kRows = 3, kWidth = 300;
  testing::Numbers numbers(8);
  const Tensor x = testing::RandomTensor({kRows, kWidth}, numbers),
               y = testing::RandomTensor({kRows, kWidth}, numbers);
  const LayerNormWeights norm{testing::RandomTensor({kWidth}, numbers),
                              testing::RandomTensor({kWidth}, numbers)};
  for (int64_t i = 0; i < x.view().elements(); ++i) x.f32()[i] += 3;
  Tensor want = x.Clone();
  LayerNormRef(x, norm, want);
  const auto device_x = Copy("x", x), device_y = Copy("y", y), weight = Copy("weight", norm.weight),
             bias = Copy("bias", norm.bias);
  const simt::Array<float> normed("normed", size_t{kRows} * kWidth);
  kernels.norm({device_x.data(), weight.data(), bias.data(), 1e-5F, kRows, kWidth}, normed.data());
  const simt::Array<int32_t> ids("ids", std::vector<int32_t>{2, -1, 0});
  const simt::Array<float> embedded("embedded", size_t{3} * kWidth);
  kernels.embed({ids.data(), 3, kWidth}, device_x.data(), embedded.data());
  const auto sum = simt::Array<float>::Writable(
      "sum", std::vector<float>(x.f32(), x.f32() + x.view().elements()));
  kernels.add({device_y.data(), nullptr, kRows, kRows, kWidth}, sum.data());
  outcome.right = Within(normed.span(), want, 1e-5, "norm");
  for (int64_t i = 0; i < kWidth; ++i) {
    const auto at = static_cast<size_t>(i);
    outcome.right = outcome.right && embedded[at] == x.row(2)[i] && embedded[kWidth + at] == 0 &&
                    sum[at] == x.row(0)[i] + y.row(0)[i];
  }
}

// Some of 2,500 positions are sinks, visual ones among them: marked by their scores, then listed.
void Marks(const PlantedKernels& kernels, Outcome& outcome) {
  constexpr int32_t kRows = 2500;
  std::vector<float> scores;
  std::vector<int32_t> want;
  for (int32_t row = 0; row < kRows; ++row) {
    const bool sink = row % 7 == 3 || row > 2400;
    scores.insert(scores.end(), {sink ? 40.0F : 39.0F, 4.0F});  // φ is 20 or 19.5
    if (sink) want.push_back(row);
  }
  const simt::Array<float> device_scores("scores", scores);
  const simt::Array<uint8_t> classes("classes", size_t{2} * 2560);
  const simt::Array<cuda::SinkRange> ranges(
      "ranges", std::vector<cuda::SinkRange>{
                    {0, 1000, 0, kRows, false, false, 20, classes.data(), 2560},
                    {1000, 1500, 1000, kRows, true, false, 20, classes.data(), 2560}});
  kernels.mark({device_scores.data(), ranges.data(), 2, 1500, 1});
  const simt::Array<int32_t> list("list", 2560), counts("counts", 2);
  const simt::Array<cuda::SinkListing> listings(
      "listings",
      std::vector<cuda::SinkListing>{{classes.data(), 2560, kRows, list.data(), counts.data()}});
  kernels.list({listings.data(), 1, 1});
  outcome.right = counts[0] == std::ssize(want) &&
                  counts[1] == std::ranges::count_if(want, [](auto row) { return row >= 1000; });
  for (size_t i = 0; i < want.size(); ++i) outcome.right = outcome.right && list[i] == want[i];
}

using Run = void (*)(const PlantedKernels&, Outcome&);
const std::map<std::string, Run>& Problems() {
  static const std::map<std::string, Run> problems = {
      {"tiles", &Tiles},  {"varied", &Varied}, {"rows", &Rows},         {"parts", &Tiles},
      {"sinks", &Varied}, {"kv", &IntoPages},  {"sampling", &Sampling}, {"compact", &Compact},
      {"ops", &Ops},      {"marks", &Marks}};
  return problems;
}

}  // namespace

PlantedKernels WithRealOnes(const PlantedKernels& planted) {
  PlantedKernels all{
      .tiles = [](const cuda::AttentionWork<Bf16>& work) { cuda::AttendTiles(work, nullptr); },
      .varied = [](const cuda::AttentionWork<Bf16>& work) { cuda::AttendTiles(work, nullptr); },
      .rows = [](const cuda::AttentionWork<float>& work) { cuda::AttendRows(work, nullptr); },
      .merge = [](const cuda::MergeWork& work) { cuda::MergeParts(work, nullptr); },
      .sinks = [](const cuda::SinkWork<Bf16>& work) { cuda::RedistributeSinks(work, nullptr); },
      .write_kv = [](const cuda::RopeKvWork<Bf16>& work) { cuda::RopeAndWriteKv(work, nullptr); },
      .sample = [](const cuda::SampleWork& work) { cuda::Sample(work, nullptr); },
      .as_bytes = [](const cuda::RowsAsBytesWork& work) { cuda::RowsAsBytes(work, nullptr); },
      .multiply = [](const cuda::MultiplyBytesWork& work) { cuda::MultiplyBytes(work, nullptr); },
      .norm = [](const cuda::NormWork& work, float* out) { cuda::Norm(work, out, nullptr); },
      .add = [](const cuda::AddWork& work, float* x) { cuda::AddRows(work, x, nullptr); },
      .embed = [](const cuda::EmbeddingWork& work, const float* table,
                  float* out) { cuda::EmbeddingRows(work, table, out, nullptr); },
      .mark = [](const cuda::MarkSinksWork& work) { cuda::MarkSinks(work, nullptr); },
      .list = [](const cuda::ListSinksWork& work) { cuda::ListSinks(work, nullptr); }};
  const auto take = [](auto& to, auto from) {
    if (from != nullptr) to = from;
  };
  take(all.tiles, planted.tiles);
  take(all.varied, planted.varied);
  take(all.rows, planted.rows);
  take(all.merge, planted.merge);
  take(all.sinks, planted.sinks);
  take(all.write_kv, planted.write_kv);
  take(all.sample, planted.sample);
  take(all.as_bytes, planted.as_bytes);
  take(all.multiply, planted.multiply);
  take(all.norm, planted.norm);
  take(all.add, planted.add);
  take(all.embed, planted.embed);
  take(all.mark, planted.mark);
  take(all.list, planted.list);
  return all;
}

Outcome RunProblem(const std::string& library, const PlantedKernels& kernels, uint64_t schedule) {
  Outcome outcome;
  simt::SetSchedule(schedule);
  Problems().at(library)(kernels, outcome);
  for (const simt::Report& report : simt::TakeReports()) outcome.reports.push_back(report.message);
  return outcome;
}

const std::vector<std::string>& ProblemLibraries() {
  static const std::vector<std::string> libraries = [] {
    std::vector<std::string> names;
    std::set<Run> seen;
    for (const auto& [name, run] : Problems())
      if (seen.insert(run).second) names.push_back(name);
    return names;
  }();
  return libraries;
}

}  // namespace binocle
