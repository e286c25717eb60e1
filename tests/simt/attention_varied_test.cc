// Interventions on the device: variants of scores, VAR by content and few sinks; and what is counted rather than argued.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_ref.h"
#include "attention/var.h"
#include "simt/runtime.h"
#include "tests/simt/attention_problem.h"

namespace binocle {
namespace {

using testing::DeviceProblem;
using testing::NoReports;
using testing::Within;

constexpr double kBf16Out = 1.5e-2;
constexpr double kF32Out = 2e-5;
constexpr double kLse = 3e-5;

// By-key arrays reach to the end of the last page on the device.
template <typename T>
std::vector<T> InWholePages(const std::vector<T>& by_key) {
  std::vector<T> padded = by_key;
  padded.resize(static_cast<size_t>(PagesFor(std::ssize(by_key)) * kPageTokens));
  return padded;
}

struct VariedShape {
  int64_t rows, d;
};

// A prompt of 70 + 130 + 20 tokens, of which the last 30 rows or the last one ask, and the last row of another one that long: other pages, the same
// policies.
struct VariedProblem : Problem {
  VariedProblem(const VariedShape& shape, DType dtype, const ScoreVariant& variant)
      : Problem({.heads = 6, .kv_heads = 2, .d = shape.d, .kv_dtype = dtype},
                {{shape.rows, 220}, {1, 220}}, 5) {
    for (QueryRun& run : runs) run.variant = variant;
  }
  void SetSegments(const SegmentPolicy& policy) {
    for (QueryRun& run : runs) run.segments = &policy;
  }
  AttentionArgs causal_args() const { return args(Mask::kCausal); }
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

class Variants : public ::testing::TestWithParam<VariedShape> {};
// Every width of the kernels, as LLaVA's 128 and SigLIP's 72.
INSTANTIATE_TEST_SUITE_P(PrefillAndDecode, Variants,
                         ::testing::Values(VariedShape{30, 24}, VariedShape{1, 64},
                                           VariedShape{18, 72}, VariedShape{1, 96},
                                           VariedShape{16, 128}, VariedShape{1, 128}));

template <typename Element, typename Attend>
void ExpectVariedEqualsTheMatrix(const VariedProblem& p, const cuda::TilePolicy& policy,
                                 double tolerance, const Attend& attend) {
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(p.causal_args(), want, want_lse);
  DeviceProblem<Element> device(p, p.causal_args());
  device.Solve(p.plan(), {cuda::TilePolicy{}, policy, policy}, attend);
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
  std::vector<float> content_out, content_lse;  // of the keys that are visual and no sinks
};

// Whether the rule is for prompts with visual sinks alone.
enum class Needs : uint8_t { kNothing, kVisualSink };

template <typename Element, typename Attend>
VarResult SolveWithVar(const VariedProblem& p, cuda::DeviceRule rule, const VarParams& params,
                       const Attend& attend, const std::vector<uint8_t>& classes = PromptClasses(),
                       Needs needs = Needs::kVisualSink) {
  const std::vector<int32_t> sinks = SinksOf(classes);
  const auto visual = static_cast<int32_t>(std::ranges::count(classes, kVisualKey | kSinkKey));
  const simt::Array<uint8_t> device_classes("classes", InWholePages(classes));
  const simt::Array<int32_t> device_sinks("sinks", sinks);
  const simt::Array<int32_t> counts(
      "sink counts", std::vector<int32_t>{static_cast<int32_t>(sinks.size()), visual});
  const cuda::TilePolicy with_classes{.classes = device_classes.data()};
  const std::vector<cuda::TilePolicy> policies = {cuda::TilePolicy{}, with_classes, with_classes};
  const AttentionArgs args = p.causal_args();
  DeviceProblem<Element> device(p, args);
  device.Solve(p.plan(), policies, attend);
  VarResult result;
  result.plain.assign(device.out.span().begin(), device.out.span().end());
  result.content_out.assign(device.content_out.span().begin(), device.content_out.span().end());
  result.content_lse.assign(device.content_lse.span().begin(), device.content_lse.span().end());
  std::vector<cuda::SinkRow> rows;
  std::vector<int32_t> page_list;
  for (size_t i = 0; i < p.runs.size(); ++i) {
    const QueryRun& run = p.runs[i];
    for (int64_t r = 0; r < run.rows; ++r) {
      const auto row = static_cast<int32_t>(run.first_row + r);
      rows.push_back({.q_row = row,
                      .out_row = row,
                      .first_key = 0,
                      .end_key = static_cast<int32_t>(run.first_position + r + 1),
                      .first_page = static_cast<int32_t>(page_list.size()),
                      .policy = static_cast<int32_t>(1 + i),
                      .sink_policy = 0});
    }
    page_list.insert(page_list.end(), run.pages.begin(), run.pages.end());
  }
  const simt::Array<cuda::SinkRow> device_rows("sink rows", rows);
  const simt::Array<int32_t> pages("pages", page_list);
  const simt::Array<cuda::TilePolicy> device_policies("policies", policies);
  const simt::Array<cuda::SinkPolicy> sink_policies(
      "sink policies", std::vector<cuda::SinkPolicy>{{device_sinks.data(), counts.data(),
                                                      needs == Needs::kVisualSink, rule, params}});
  const simt::Array<float> masses("masses", rows.size() * 18), gains("gains", rows.size() * 12);
  cuda::RedistributeSinks(
      cuda::SinkWork<Element>{.shape = device.shape(),
                              .q = device.q.data(),
                              .q_stride = 6 * p.d,
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
int64_t HeadsThatDiffer(const std::vector<float>& a, const std::vector<float>& b, int64_t d) {
  int64_t count = 0;
  for (auto i = a.begin(), j = b.begin(); i < a.end(); i += d, j += d)
    count += !std::equal(i, i + d, j);
  return count;
}

template <typename Element, typename Attend>
void ExpectVarEqualsTheMatrix(DType dtype, const VariedShape& shape, double tolerance,
                              const Attend& attend) {
  const std::vector<uint8_t> classes = PromptClasses();
  for (const auto& [rule, device_rule, params] :
       {std::tuple{&VarByContentShare, cuda::DeviceRule::kContentShare, kPaper},
        std::tuple{&VarBySinkShare, cuda::DeviceRule::kSinkShare, kRelease}}) {
    VariedProblem p(shape, dtype, PlainScore{});
    SegmentPolicy policy{.classes = classes, .rule = rule, .params = params};
    p.SetSegments(policy);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    AttentionRef(p.causal_args(), want, want_lse);
    const VarResult got = SolveWithVar<Element>(p, device_rule, params, attend);
    EXPECT_TRUE(Within(got.out, want, tolerance, "out"));
    EXPECT_TRUE(Within(got.lse, want_lse, kLse, "lse"));
    const int64_t changed = HeadsThatDiffer(got.plain, got.out, p.d);
    if (shape.rows > 1) {
      EXPECT_GT(changed, shape.rows) << "some heads must pass the tests";
      EXPECT_LT(changed, 5 * shape.rows) << "and some must fail them";
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
  p.SetSegments(measured);
  const VarResult got = SolveWithVar<Bf16>(p, cuda::DeviceRule::kMeasure, {}, Tiles);
  EXPECT_EQ(HeadsThatDiffer(got.plain, got.out, p.d), 0) << "measuring changes nothing";
  const uint8_t of[3] = {kVisualKey, kVisualKey | kSinkKey, kSinkKey};
  for (const QueryRun& run : p.runs) {
    for (int64_t row = 0; row < run.rows; ++row) {
      for (int64_t head = 0; head < 6; ++head) {
        double lse = 0;
        const std::vector<double> weights = WeightsRef(p.causal_args(), run, row, head, &lse);
        const auto at = static_cast<size_t>((run.first_row + row) * 6 + head);
        for (size_t c = 0; c < 3; ++c) {
          double mass = 0;
          for (size_t j = 0; j < weights.size(); ++j) mass += classes[j] == of[c] ? weights[j] : 0;
          EXPECT_NEAR(got.masses[3 * at + c], mass, 1e-5);
          if (c == 0) {
            EXPECT_NEAR(got.content_lse[at], lse + std::log(mass), kLse);
          }
        }
      }
    }
  }
}

// What VAR gives weight to: the result over the visual keys that are no sinks, alone. In VAR's own result a small weight hides what is wrong with it.
template <typename Element, typename Attend>
void ExpectContentEqualsTheMatrix(const VariedShape& shape, DType dtype, double tolerance,
                                  const Attend& attend) {
  VariedProblem p(shape, dtype, PlainScore{});
  const std::vector<uint8_t> classes = PromptClasses();
  std::vector<float> bias(220, 0);
  for (size_t j = 0; j < bias.size(); ++j) bias[j] = classes[j] == kVisualKey ? 0 : -INFINITY;
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  for (QueryRun& run : p.runs) run.variant = KeyBias{bias};
  AttentionRef(p.causal_args(), want, want_lse);
  for (QueryRun& run : p.runs) run.variant = PlainScore{};
  SegmentPolicy measured{.classes = classes};
  p.SetSegments(measured);
  const VarResult got = SolveWithVar<Element>(p, cuda::DeviceRule::kMeasure, {}, attend);
  EXPECT_TRUE(Within(got.content_out, want, tolerance, "content out"));
  EXPECT_TRUE(Within(got.content_lse, want_lse, kLse, "content lse"));
}

TEST_P(Variants, ContentIsTheResultOverItsKeysAlone) {
  ExpectContentEqualsTheMatrix<float>(GetParam(), DType::kF32, kF32Out, Rows);
  ExpectContentEqualsTheMatrix<Bf16>(GetParam(), DType::kBF16, kBf16Out, Tiles);
}

// The text's sinks alone may be what is taken from, or nothing is, as the rule has it.
TEST_P(Variants, VarThatNeedsAVisualSinkChangesNoBitWithoutOne) {
  VariedProblem p(GetParam(), DType::kBF16, PlainScore{});
  std::vector<uint8_t> classes = PromptClasses();
  const SegmentPolicy policy{.classes = classes};
  p.SetSegments(policy);
  for (uint8_t& c : classes) c = c == (kVisualKey | kSinkKey) ? kVisualKey : c;
  VarParams params = kPaper;
  params.mass = 0.01F;
  const auto changed = [&](Needs needs) {
    const VarResult got =
        SolveWithVar<Bf16>(p, cuda::DeviceRule::kContentShare, params, Tiles, classes, needs);
    return HeadsThatDiffer(got.plain, got.out, p.d);
  };
  EXPECT_EQ(changed(Needs::kVisualSink), 0);
  EXPECT_GT(changed(Needs::kNothing), 0);
}

TEST_P(Variants, VarThatTakesNothingChangesNoBit) {
  VariedProblem p(GetParam(), DType::kBF16, PlainScore{});
  const std::vector<uint8_t> classes = PromptClasses();
  const SegmentPolicy policy{.classes = classes};
  p.SetSegments(policy);
  VarParams nothing = kPaper;
  nothing.p = 0;
  const VarResult got = SolveWithVar<Bf16>(p, cuda::DeviceRule::kContentShare, nothing, Tiles);
  EXPECT_EQ(HeadsThatDiffer(got.plain, got.out, p.d), 0);
}

// EE-MLLM: 8 rows of text, a picture of 130 tokens, 12 rows of text. Text rows see the visual keys and the earlier text; visual rows, 20 … 149 of q, ask
// nothing in a composite layer and everything in a stock one.
struct PictureInText : Problem {
  PictureInText()
      : Problem({.heads = 4, .kv_heads = 2, .d = 64, .kv_dtype = DType::kBF16}, {{150, 150}}, 8) {
    const QueryRun all = runs[0];
    const auto part = [&](int64_t first_row, int64_t rows, int64_t first_position) {
      QueryRun run = all;
      run.first_row = first_row;
      run.rows = rows;
      run.first_position = first_position;
      run.keys = first_position + rows;
      return run;
    };
    text = {part(0, 8, 0), part(8, 12, 138)};
    stock = text;
    stock.insert(stock.begin() + 1, part(20, 130, 8));
  }
  std::vector<QueryRun> text, stock;
};

// How often each row's query was read, where that is counted.
std::vector<uint32_t> ReadsOfQueries(const PictureInText& p, std::span<const QueryRun> runs,
                                     Tensor& out, Tensor& lse) {
  DeviceProblem<Bf16> device(p, p.args(Mask::kCausal));
  device.q.CountReads();
  AttentionPlan plan;
  PlanAttention({.runs = runs, .heads = 4, .kv_heads = 2}, plan);
  device.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  EXPECT_TRUE(NoReports());
  for (const QueryRun& run : runs) {
    for (int64_t r = run.first_row; r < run.first_row + run.rows; ++r) {
      std::copy_n(device.out.data() + r * 256, 256, out.row(r));
      std::copy_n(device.lse.data() + r * 4, 4, lse.row(r));
    }
  }
  std::vector<uint32_t> reads;
  for (size_t row = 0; row < 150; ++row) {
    reads.push_back(device.q.reads(row * 256));
    for (size_t i = 1; i < 256; ++i) EXPECT_EQ(device.q.reads(row * 256 + i), reads[row]);
  }
  return reads;
}

TEST(Composite, TextRowsAreRightAndNoVisualQueryIsRead) {
  const PictureInText p;
  Tensor out = p.out.Clone(), lse = p.lse.Clone(), want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionArgs args = p.args(Mask::kCausal);
  args.runs = p.text;
  AttentionRef(args, want, want_lse);
  const std::vector<uint32_t> composite = ReadsOfQueries(p, p.text, out, lse);
  const auto values = [](const Tensor& t) {
    return std::span(t.f32(), t.f32() + t.view().elements());
  };
  EXPECT_TRUE(Within(values(out), want, kBf16Out, "out"));
  EXPECT_TRUE(Within(values(lse), want_lse, kLse, "lse"));
  const std::vector<uint32_t> stock = ReadsOfQueries(p, p.stock, out, lse);
  if (!simt::IsChecked()) return;  // reads are counted in the other one
  for (size_t row = 0; row < 150; ++row) {
    EXPECT_EQ(composite[row], row < 20 ? 1U : 0U) << row;
    EXPECT_EQ(stock[row], 1U) << row;
  }
}

// Five sequences that begin with the same three pages, a picture's, and go on by themselves, one row each. The picture ends within the fourth page.
struct SharedPicture : Problem {
  static constexpr int64_t kSequences = 5;
  explicit SharedPicture(int64_t heads = 6, int64_t kv_heads = 2)
      : Problem({.heads = heads, .kv_heads = kv_heads, .d = 64, .kv_dtype = DType::kBF16},
                {{1, 220}, {1, 213}, {1, 256}, {1, 257}, {1, 230}}, 9) {
    for (size_t r = 0; r < kSequences; ++r) {
      pages.emplace_back(runs[r].pages.begin(), runs[r].pages.end());
      std::copy_n(pages[0].begin(), 3, pages[r].begin());
      runs[r].pages = pages[r];
      runs[r].shared_end = 211;
    }
  }
  AttentionArgs causal_args() const { return args(Mask::kCausal); }
  std::vector<std::vector<int32_t>> pages;
};

// Whether each key and value of the picture's pages was read so often, and each number of them.
void ExpectReadsOfThePicture(const SharedPicture& p, const DeviceProblem<Bf16>& device,
                             uint32_t times, int64_t kv_heads = 2) {
  if (!simt::IsChecked()) return;  // reads are counted in the other one
  for (const int32_t page : std::span(p.pages[0]).first(3)) {
    for (int64_t head = 0; head < kv_heads; ++head) {
      for (int64_t column = 0; column < kPageTokens; ++column) {
        for (int64_t i = 0; i < 64; ++i) {
          const size_t at = device.KvIndex(page, head, column, i);
          ASSERT_EQ(device.keys.reads(at), times) << page << ' ' << column;
          ASSERT_EQ(device.values.reads(at), times) << page << ' ' << column;
        }
      }
    }
  }
}

// Of one page, of two and of four to a part: what is left of the picture is a part of its own, shorter than the rest.
TEST(Decode, AKeyAndValueOfASharedPictureIsReadOnceForAllSequences) {
  for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{6, 2}, {8, 8}, {16, 16}}) {
    const SharedPicture p(heads, kv_heads);
    AttentionPlan plan;
    PlanAttention({.runs = p.runs, .heads = heads, .kv_heads = kv_heads}, plan);
    DeviceProblem<Bf16> device(p, p.causal_args());
    device.keys.CountReads();
    device.values.CountReads();
    device.Solve(plan, {cuda::TilePolicy{}}, Tiles);
    EXPECT_TRUE(NoReports());
    ExpectReadsOfThePicture(p, device, 1, kv_heads);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    AttentionRef(p.causal_args(), want, want_lse);
    EXPECT_TRUE(Within(device.out.span(), want, kBf16Out, "out"));
    EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
  }
}

// Under a policy as well, while all say the same of the picture.
TEST(Decode, APictureIsReadOnceUnderEqualGains) {
  SharedPicture p;
  const std::vector<float> gain = SomeNumbers(257, 0.5F, 1);
  for (QueryRun& run : p.runs) run.variant = KeyGain{gain, {}};
  const simt::Array<float> device_gain("gain", InWholePages(gain));
  const cuda::TilePolicy policy{.kind = cuda::ScoreKind::kKeyGain, .by_key = device_gain.data()};
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2}, plan);
  DeviceProblem<Bf16> device(p, p.causal_args());
  device.keys.CountReads();
  device.values.CountReads();
  device.Solve(plan, {cuda::TilePolicy{}, policy, policy, policy, policy, policy}, Tiles);
  EXPECT_TRUE(NoReports());
  ExpectReadsOfThePicture(p, device, 1);
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  AttentionRef(p.causal_args(), want, want_lse);
  EXPECT_TRUE(Within(device.out.span(), want, kBf16Out, "out"));
  EXPECT_TRUE(Within(device.lse.span(), want_lse, kLse, "lse"));
}

TEST(Decode, ARowDoesNotDependOnWhoSharesItsPicture) {
  const SharedPicture p;
  AttentionPlan plan;
  PlanAttention({.runs = p.runs, .heads = 6, .kv_heads = 2}, plan);
  DeviceProblem<Bf16> together(p, p.causal_args());
  together.Solve(plan, {cuda::TilePolicy{}}, Tiles);
  for (size_t r = 0; r < SharedPicture::kSequences; ++r) {
    PlanAttention({.runs = std::span(p.runs).subspan(r, 1), .heads = 6, .kv_heads = 2}, plan);
    DeviceProblem<Bf16> alone(p, p.causal_args());
    alone.Solve(plan, {cuda::TilePolicy{}}, Tiles);
    for (size_t i = r * 6 * 64; i < (r + 1) * 6 * 64; ++i)
      ASSERT_EQ(alone.out[i], together.out[i]) << r;
  }
  EXPECT_TRUE(NoReports());
}

}  // namespace
}  // namespace binocle
