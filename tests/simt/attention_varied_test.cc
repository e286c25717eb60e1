// Interventions on the device: variants of scores, VAR by content and few sinks, maps; and what is counted rather than argued.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_ref.h"
#include "attention/device_kv_cuda.h"
#include "attention/var.h"
#include "core/ops/rope.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::NoReports;
using testing::Within;

constexpr double kBf16Out = 1.5e-2;
constexpr double kF32Out = 2e-5;
constexpr double kLse = 1e-4;
constexpr float kScale = 0.125F;

// By-key arrays reach to the end of the last page on the device.
template <typename T>
std::vector<T> InWholePages(const std::vector<T>& by_key) {
  std::vector<T> padded = by_key;
  padded.resize(static_cast<size_t>(PagesFor(std::ssize(by_key)) * kPageTokens));
  return padded;
}

// A prompt of 70 + 130 + 20 tokens, the last 30 rows or the last one ask.
struct VariedProblem : Problem {
  VariedProblem(int64_t rows, DType dtype, const ScoreVariant& variant)
      : Problem({.heads = 6, .kv_heads = 2, .d = 24, .kv_dtype = dtype}, {{rows, 220}}, 5) {
    testing::RoundQueries(*this);
    runs[0].variant = variant;
  }
  AttentionArgs scaled_args() const {
    AttentionArgs args = this->args(Mask::kCausal);
    args.scale = kScale;
    return args;
  }
  AttentionPlan plan() const {
    AttentionPlan made;
    PlanAttention({.runs = runs, .heads = 6, .kv_heads = 2}, made);
    return made;
  }
};

std::vector<float> SomeNumbers(size_t count, float scale, uint64_t seed) {
  testing::Numbers numbers(seed);
  std::vector<float> made(count);
  for (float& x : made) x = numbers.Normal(scale);
  return made;
}

void Tiles(const cuda::AttentionWork<Bf16>& work) { cuda::AttendTiles(work, nullptr); }
void Rows(const cuda::AttentionWork<float>& work) { cuda::AttendRows(work, nullptr); }

class Variants : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(PrefillAndDecode, Variants, ::testing::Values(30, 1));

template <typename Element, typename Attend>
void ExpectVariedEqualsTheMatrix(const VariedProblem& p, const cuda::TilePolicy& policy,
                                 double tolerance, const Attend& attend) {
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(p.scaled_args(), want, want_lse);
  DeviceProblem<Element> device(p, p.scaled_args());
  device.Solve(p.plan(), {cuda::TilePolicy{}, policy}, attend);
  EXPECT_TRUE(NoReports());
  EXPECT_TRUE(Within(device.out.span(), want, tolerance, "out"));
  EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
}

TEST_P(Variants, GainsPerKeyAndHeadEqualTheMatrix) {
  const std::vector<float> gain = SomeNumbers(220, 0.5F, 1), factor = SomeNumbers(6, 1, 2);
  const simt::Array<float> device_gain("gain", InWholePages(gain)), device_factor("factor", factor);
  const cuda::TilePolicy policy{.kind = cuda::ScoreKind::kKeyGain,
                                .by_key = device_gain.data(),
                                .head_factor = device_factor.data()};
  const KeyGain variant{gain, factor};
  ExpectVariedEqualsTheMatrix<Bf16>({GetParam(), DType::kBF16, variant}, policy, kBf16Out, Tiles);
  ExpectVariedEqualsTheMatrix<float>({GetParam(), DType::kF32, variant}, policy, kF32Out, Rows);
}

TEST_P(Variants, BiasesPerKeyEqualTheMatrix) {
  const std::vector<float> bias = SomeNumbers(220, 1, 3);
  const simt::Array<float> device_bias("bias", InWholePages(bias));
  const cuda::TilePolicy policy{.kind = cuda::ScoreKind::kKeyBias, .by_key = device_bias.data()};
  ExpectVariedEqualsTheMatrix<Bf16>({GetParam(), DType::kBF16, KeyBias{bias}}, policy, kBf16Out,
                                    Tiles);
  ExpectVariedEqualsTheMatrix<float>({GetParam(), DType::kF32, KeyBias{bias}}, policy, kF32Out,
                                     Rows);
}

TEST_P(Variants, SoftCapsEqualTheMatrix) {
  const cuda::TilePolicy policy{.kind = cuda::ScoreKind::kSoftCap, .cap = 0.7F};
  ExpectVariedEqualsTheMatrix<Bf16>({GetParam(), DType::kBF16, SoftCap{0.7F}}, policy, kBf16Out,
                                    Tiles);
  ExpectVariedEqualsTheMatrix<float>({GetParam(), DType::kF32, SoftCap{0.7F}}, policy, kF32Out,
                                     Rows);
}

// A text sink first, visual keys 70 … 199 with a sink among every seventeen, text after.
std::vector<uint8_t> PromptClasses() {
  std::vector<uint8_t> classes(220, 0);
  classes[0] = kSinkKey;
  for (size_t j = 70; j < 200; ++j) classes[j] = j % 17 == 3 ? kVisualKey | kSinkKey : kVisualKey;
  return classes;
}

std::vector<int32_t> SinksOf(const std::vector<uint8_t>& classes) {
  std::vector<int32_t> sinks;
  for (size_t j = 0; j < classes.size(); ++j)
    if ((classes[j] & kSinkKey) != 0) sinks.push_back(static_cast<int32_t>(j));
  return sinks;
}

// What VAR made of a problem.
struct VarResult {
  std::vector<float> plain, out, masses, gains, lse;
};

template <typename Element, typename Attend>
VarResult SolveWithVar(const VariedProblem& p, cuda::DeviceRule rule, const VarParams& params,
                       const Attend& attend) {
  const std::vector<uint8_t> classes = PromptClasses();
  const std::vector<int32_t> sinks = SinksOf(classes);
  const simt::Array<uint8_t> device_classes("classes", InWholePages(classes));
  const simt::Array<int32_t> device_sinks("sinks", sinks);
  const std::vector<cuda::TilePolicy> policies = {cuda::TilePolicy{},
                                                  {.classes = device_classes.data()}};
  const AttentionArgs args = p.scaled_args();
  DeviceProblem<Element> device(p, args);
  device.Solve(p.plan(), policies, attend);
  VarResult result;
  result.plain.assign(device.out.span().begin(), device.out.span().end());
  std::vector<cuda::SinkRow> rows;
  for (int32_t r = 0; r < p.runs[0].rows; ++r) {
    const auto end = static_cast<int32_t>(p.runs[0].first_position + r + 1);
    rows.push_back({.q_row = r,
                    .out_row = r,
                    .first_key = 0,
                    .end_key = end,
                    .first_page = 0,
                    .policy = 1,
                    .sink_policy = 0});
  }
  const simt::Array<cuda::SinkRow> device_rows("sink rows", rows);
  const simt::Array<int32_t> pages(
      "pages", std::vector<int32_t>(p.runs[0].pages.begin(), p.runs[0].pages.end()));
  const simt::Array<cuda::TilePolicy> device_policies("policies", policies);
  const simt::Array<cuda::SinkPolicy> sink_policies(
      "sink policies",
      std::vector<cuda::SinkPolicy>{
          {device_sinks.data(), static_cast<int32_t>(sinks.size()), rule, params}});
  const simt::Array<float> masses("masses", rows.size() * 18), gains("gains", rows.size() * 12);
  cuda::RedistributeSinks(
      cuda::SinkWork<Element>{.shape = device.shape(),
                              .q = device.q.data(),
                              .q_stride = 6 * 24,
                              .kv = {device.keys.data(), device.values.data()},
                              .rows = device_rows.data(),
                              .count = static_cast<int32_t>(rows.size()),
                              .pages = pages.data(),
                              .policies = device_policies.data(),
                              .sink_policies = sink_policies.data(),
                              .result = {device.out.data(), device.lse.data(),
                                         device.content_out.data(), device.content_lse.data()},
                              .masses = masses.data(),
                              .gains = gains.data()},
      nullptr);
  EXPECT_TRUE(NoReports());
  result.out.assign(device.out.span().begin(), device.out.span().end());
  result.lse.assign(device.lse.span().begin(), device.lse.span().end());
  result.masses.assign(masses.span().begin(), masses.span().end());
  result.gains.assign(gains.span().begin(), gains.span().end());
  return result;
}

constexpr VarParams kPaper{.p = 0.6F, .rho = 0.93F, .mass = 0.2F, .visual_keys = 130};
constexpr VarParams kRelease{.p = 0.4F, .rho = 0.07F, .mass = 0.2F, .visual_keys = 130};

// How many (row, head)s differ in some bit.
int64_t HeadsThatDiffer(const std::vector<float>& a, const std::vector<float>& b) {
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); i += 24)
    count += !std::equal(a.begin() + static_cast<std::ptrdiff_t>(i),
                         a.begin() + static_cast<std::ptrdiff_t>(i + 24),
                         b.begin() + static_cast<std::ptrdiff_t>(i));
  return count;
}

template <typename Element, typename Attend>
void ExpectVarEqualsTheMatrix(DType dtype, int64_t rows, double tolerance, const Attend& attend) {
  const std::vector<uint8_t> classes = PromptClasses();
  for (const auto& [rule, device_rule, params] :
       {std::tuple{&VarByContentShare, cuda::DeviceRule::kContentShare, kPaper},
        std::tuple{&VarBySinkShare, cuda::DeviceRule::kSinkShare, kRelease}}) {
    VariedProblem p(rows, dtype, PlainScore{});
    SegmentPolicy policy{.classes = classes, .rule = rule, .params = params};
    p.runs[0].segments = &policy;
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    AttentionRef(p.scaled_args(), want, want_lse);
    const VarResult got = SolveWithVar<Element>(p, device_rule, params, attend);
    EXPECT_TRUE(Within(got.out, want, tolerance, "out"));
    EXPECT_TRUE(Within(got.lse, want_lse, kLse, "lse"));
    const int64_t changed = HeadsThatDiffer(got.plain, got.out);
    if (rows > 1) {
      EXPECT_GT(changed, 20) << "some heads must pass the tests";
      EXPECT_LT(changed, 160) << "and some must fail them";
    }
  }
}

TEST_P(Variants, VarEqualsTheMatrixInBothForms) {
  ExpectVarEqualsTheMatrix<float>(DType::kF32, GetParam(), kF32Out, Rows);
  ExpectVarEqualsTheMatrix<Bf16>(DType::kBF16, GetParam(), 2 * kBf16Out, Tiles);
}

TEST_P(Variants, MassesAreThoseOfTheMatrix) {
  VariedProblem p(GetParam(), DType::kBF16, PlainScore{});
  const std::vector<uint8_t> classes = PromptClasses();
  SegmentPolicy measured{.classes = classes};
  p.runs[0].segments = &measured;
  const VarResult got = SolveWithVar<Bf16>(p, cuda::DeviceRule::kMeasure, {}, Tiles);
  EXPECT_EQ(HeadsThatDiffer(got.plain, got.out), 0) << "measuring changes nothing";
  const uint8_t of[3] = {kVisualKey, kVisualKey | kSinkKey, kSinkKey};
  for (int64_t row = 0; row < GetParam(); ++row) {
    for (int64_t head = 0; head < 6; ++head) {
      double lse = 0;
      const std::vector<double> weights = WeightsRef(p.scaled_args(), p.runs[0], row, head, &lse);
      for (size_t c = 0; c < 3; ++c) {
        double mass = 0;
        for (size_t j = 0; j < weights.size(); ++j) mass += classes[j] == of[c] ? weights[j] : 0;
        EXPECT_NEAR(got.masses[static_cast<size_t>((row * 6 + head) * 3) + c], mass, 1e-5);
      }
    }
  }
}

TEST_P(Variants, VarThatTakesNothingChangesNoBit) {
  VariedProblem p(GetParam(), DType::kBF16, PlainScore{});
  const std::vector<uint8_t> classes = PromptClasses();
  const SegmentPolicy policy{.classes = classes};
  p.runs[0].segments = &policy;
  VarParams nothing = kPaper;
  nothing.p = 0;
  const VarResult got = SolveWithVar<Bf16>(p, cuda::DeviceRule::kContentShare, nothing, Tiles);
  EXPECT_EQ(HeadsThatDiffer(got.plain, got.out), 0);
}

TEST(Maps, AreTheWeightsThatMadeTheOutput) {
  const std::vector<float> gain = SomeNumbers(220, 0.5F, 1);
  const VariedProblem p(1, DType::kF32, KeyGain{gain, {}});
  const AttentionArgs args = p.scaled_args();
  const simt::Array<float> device_gain("gain", InWholePages(gain));
  const cuda::TilePolicy policy{.kind = cuda::ScoreKind::kKeyGain, .by_key = device_gain.data()};
  DeviceProblem<float> device(p, args);
  device.Solve(p.plan(), {cuda::TilePolicy{}, policy}, Rows);
  const std::vector<float> head_weight = {0.5F, 0, 0.25F, 0, 0, 1};
  const simt::Array<float> weights("head weights", head_weight);
  const auto map = simt::Array<float>::Writable("map", std::vector<float>(220, 0));
  const simt::Array<int32_t> pages(
      "pages", std::vector<int32_t>(p.runs[0].pages.begin(), p.runs[0].pages.end()));
  cuda::AddMap(cuda::MapWork<float>{.shape = device.shape(),
                                    .q = device.q.data(),
                                    .kv = {device.keys.data(), device.values.data()},
                                    .pages = pages.data(),
                                    .first_key = 0,
                                    .end_key = 220,
                                    .policy = policy,
                                    .lse = device.lse.data(),
                                    .gains = nullptr,
                                    .head_weight = weights.data(),
                                    .map = map.data()},
               nullptr);
  EXPECT_TRUE(NoReports());
  std::vector<double> want(220, 0);
  for (int64_t head = 0; head < 6; ++head) {
    double lse = 0;
    const std::vector<double> of_head = WeightsRef(args, p.runs[0], 0, head, &lse);
    for (size_t j = 0; j < 220; ++j) want[j] += head_weight[static_cast<size_t>(head)] * of_head[j];
  }
  for (size_t j = 0; j < 220; ++j) EXPECT_NEAR(map[j], want[j], 1e-6) << j;
}

// EE-MLLM: text rows see the visual keys and the earlier text; visual rows ask nothing. Rows 20 … 149 of q are visual: nobody reads them, and each
// text row's query is read once for each of its heads' tiles.
TEST(Composite, NoVisualQueryRowIsVisited) {
  Problem p({.heads = 4, .kv_heads = 2, .d = 64, .kv_dtype = DType::kBF16}, {{150, 150}}, 8);
  p.runs[0].rows = 20;
  p.runs[0].first_position = 130;
  const AttentionArgs args = p.args(Mask::kCausal);
  DeviceProblem<Bf16> device(p, args);
  device.q.CountReads();
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 4, .kv_heads = 2}, plan);
  device.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  EXPECT_TRUE(NoReports());
  for (size_t row = 0; row < 150; ++row) {
    for (size_t i = 0; i < 4 * 64; ++i) {
      const uint32_t want = row < 20 && simt::kCheckedProgram ? 1 : 0;
      ASSERT_EQ(device.q.reads(row * 4 * 64 + i), want) << row << ' ' << i;
    }
  }
}

// Five sequences that begin with the same three pages, a picture's, and go on by themselves, one row each.
struct SharedPicture : Problem {
  static constexpr int64_t kSequences = 5;
  SharedPicture()
      : Problem({.heads = 6, .kv_heads = 2, .d = 64, .kv_dtype = DType::kBF16},
                {{1, 200}, {1, 193}, {1, 256}, {1, 257}, {1, 230}}, 9) {
    testing::RoundQueries(*this);
    for (size_t r = 0; r < kSequences; ++r) {
      pages.emplace_back(runs[r].pages.begin(), runs[r].pages.end());
      std::copy_n(pages[0].begin(), 3, pages[r].begin());
      runs[r].pages = pages[r];
    }
  }
  AttentionArgs scaled_args() const {
    AttentionArgs args = this->args(Mask::kCausal);
    args.scale = kScale;
    return args;
  }
  std::vector<std::vector<int32_t>> pages;
};

TEST(Decode, AKeyAndValueOfASharedPictureIsReadOnceForAllSequences) {
  const SharedPicture p;
  const std::vector<int64_t> cuts(5, 192);
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2, .cuts = cuts}, plan);
  DeviceProblem<Bf16> device(p, p.scaled_args());
  device.keys.CountReads();
  device.values.CountReads();
  device.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  EXPECT_TRUE(NoReports());
  for (const int32_t page : std::span(p.pages[0]).first(3)) {
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t column = 0; column < kPageTokens; ++column) {
        for (int64_t i = 0; i < 64; ++i) {
          const size_t at = device.KvIndex(page, head, column, i);
          ASSERT_EQ(device.keys.reads(at), simt::kCheckedProgram ? 1U : 0U)
              << page << ' ' << column;
          ASSERT_EQ(device.values.reads(at), simt::kCheckedProgram ? 1U : 0U);
        }
      }
    }
  }
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(p.scaled_args(), want, want_lse);
  EXPECT_TRUE(Within(device.out.span(), want, kBf16Out, "out"));
  EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
}

TEST(Decode, ARowDoesNotDependOnWhoSharesItsPicture) {
  const SharedPicture p;
  const std::vector<int64_t> cuts(5, 192);
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2, .cuts = cuts}, plan);
  DeviceProblem<Bf16> together(p, p.scaled_args());
  together.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  for (size_t r = 0; r < SharedPicture::kSequences; ++r) {
    PlanAttention({.runs = std::span(p.runs).subspan(r, 1),
                   .heads = 6,
                   .kv_heads = 2,
                   .cuts = {cuts.data(), 1}},
                  plan);
    DeviceProblem<Bf16> alone(p, p.scaled_args());
    alone.Solve(plan, {cuda::TilePolicy{}}, Tiles);
    for (size_t i = r * 6 * 64; i < (r + 1) * 6 * 64; ++i)
      ASSERT_EQ(alone.out[i], together.out[i]) << r;
  }
  EXPECT_TRUE(NoReports());
}

// Rows of k and v in their pages, rotated on the way, beside core/ops/rope.h.
TEST(WriteKv, PutsRotatedKeysAndValuesIntoTheirSlots) {
  constexpr int64_t kRows = 5, kHeads = 2, kDim = 24;
  testing::Numbers numbers(4);
  const Tensor k = testing::RandomTensor({kRows, kHeads * kDim}, numbers);
  const Tensor v = testing::RandomTensor({kRows, kHeads * kDim}, numbers);
  const std::vector<int32_t> positions = {0, 9, 3, 30, 1}, slots = {64, 3, 0, 127, 65};
  const RopeTable table = RopeTable::Make(kDim, {}, 32);
  Tensor rotated = k.Clone();
  Exec ex(1);
  Rope(ex, table, positions, rotated);
  const auto copy = [](const char* name, const Tensor& t) {
    return simt::Array<float>(name, std::vector<float>(t.f32(), t.f32() + t.view().elements()));
  };
  const auto device_k = copy("k", k), device_v = copy("v", v), c = copy("cos", table.cos),
             s = copy("sin", table.sin);
  const simt::Array<int32_t> device_positions("positions", positions), device_slots("slots", slots);
  const simt::Array<float> keys("keys", 2 * kHeads * 64 * 32),
      values("values", 2 * kHeads * 64 * 32);
  cuda::WriteKv({.shape = {.kv_heads = kHeads, .head_dim = kDim, .kv_row = 32},
                 .k = device_k.data(),
                 .v = device_v.data(),
                 .k_stride = kHeads * kDim,
                 .v_stride = kHeads * kDim,
                 .slots = device_slots.data(),
                 .rows = kRows,
                 .cos = c.data(),
                 .sin = s.data(),
                 .positions = device_positions.data()},
                keys.data(), values.data(), nullptr);
  EXPECT_TRUE(NoReports());
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kHeads * 32; ++i) {
      const int64_t slot = slots[static_cast<size_t>(row)], head = i / 32, dim = i % 32;
      const auto at =
          static_cast<size_t>(((slot / 64 * kHeads + head) * 64 + slot % 64) * 32 + dim);
      EXPECT_NEAR(keys[at], dim < kDim ? rotated.row(row)[head * kDim + dim] : 0, 1e-6);
      EXPECT_EQ(values[at], dim < kDim ? v.row(row)[head * kDim + dim] : 0);
    }
  }
}

}  // namespace
}  // namespace binocle
