#include "attention/segments.h"

#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention_map.h"
#include "attention/attention_ref.h"
#include "attention/var.h"
#include "tests/attention/problem.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::SameBits;

constexpr uint8_t kText = 0, kTextSink = kSinkKey, kContent = kVisualKey,
                  kVisualSink = kVisualKey | kSinkKey;

// One sequence: text with a sink first, visual keys [first, last) with some sinks, text after.
std::vector<uint8_t> Classes(int64_t keys, int64_t first, int64_t last, int64_t sink_every) {
  std::vector<uint8_t> classes(static_cast<size_t>(keys), kText);
  classes[0] = kTextSink;
  for (int64_t j = first; j < last; ++j)
    classes[static_cast<size_t>(j)] = j % sink_every == 3 ? kVisualSink : kContent;
  return classes;
}

// A prompt of 70 + 130 + 20 tokens and a policy over it; the last 30 rows ask.
struct SegmentProblem : Problem {
  explicit SegmentProblem(SegmentRule rule, const VarParams& params, uint64_t seed = 5,
                          float scale = 1)
      : Problem(6, 2, 24, {{30, 220}}, seed, scale),
        classes(Classes(220, 70, 200, 17)),
        masses(Tensor::F32({30, 18}, "masses")),
        policy{.classes = classes, .rule = rule, .params = params, .masses = masses} {
    policy.params.visual_keys = 130;
    runs[0].segments = &policy;
  }
  void Run(int threads = 2) {
    Exec ex(threads);
    Attention(ex, args(Mask::kCausal), out, lse);
  }

  std::vector<uint8_t> classes;
  Tensor masses;
  SegmentPolicy policy;
};

int64_t RowsThatDiffer(const Tensor& a, const Tensor& b, int64_t d) {
  int64_t count = 0;
  for (int64_t t = 0; t < a.dim(0); ++t) {
    for (int64_t c = 0; c < a.dim(1); c += d)
      count += !std::equal(a.row(t) + c, a.row(t) + c + d, b.row(t) + c);
  }
  return count;
}

// ρ lies amid the shares that the heads of these problems have, so that some pass the test and some do not.
constexpr VarParams kPaper{.p = 0.6F, .rho = 0.93F, .mass = 0.2F};
constexpr VarParams kRelease{.p = 0.4F, .rho = 0.07F, .mass = 0.2F};

TEST(Var, EqualsTheExplicitMatrixInBothForms) {
  for (const auto& [rule, params] :
       {std::pair{&VarByContentShare, kPaper}, {&VarBySinkShare, kRelease}}) {
    SegmentProblem p(rule, params), plain(nullptr, {});
    plain.runs[0].segments = nullptr;
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    p.Run();
    plain.Run();
    AttentionRef(p.args(Mask::kCausal), want, want_lse);
    EXPECT_TRUE(Near(p.out, want, "var"));
    EXPECT_TRUE(SameBits(p.lse, plain.lse)) << "the rule works on weights, not on scores";
    const int64_t changed = RowsThatDiffer(p.out, plain.out, 24);
    EXPECT_GT(changed, 20) << "some heads must pass the tests";
    EXPECT_LT(changed, 160) << "and some must fail them";
  }
}

TEST(Var, RowsThatFailTheTestsAreBitIdenticalToPlainAttention) {
  SegmentProblem p(&VarByContentShare, kPaper), plain(nullptr, {});
  plain.runs[0].segments = nullptr;
  p.Run();
  plain.Run();
  for (int64_t t = 0; t < 30; ++t) {
    for (int64_t h = 0; h < 6; ++h) {
      const float* m = p.masses.row(t) + 3 * h;
      if (VarByContentShare(kPaper, {m[0], m[1], m[2]}) != SegmentGains{}) continue;
      EXPECT_TRUE(
          std::equal(p.out.row(t) + 24 * h, p.out.row(t) + 24 * (h + 1), plain.out.row(t) + 24 * h))
          << t << ", " << h;
    }
  }
}

TEST(Var, RecyclingNothingIsTheIdentity) {
  SegmentProblem plain(nullptr, {});
  plain.runs[0].segments = nullptr;
  plain.Run();
  SegmentProblem paper(&VarByContentShare, {.p = 0, .rho = 0, .mass = 0}),
      release(&VarBySinkShare, {.p = 0, .rho = 1, .mass = 0}), measured(nullptr, {});
  for (SegmentProblem* p : {&paper, &release, &measured}) {
    p->Run();
    EXPECT_TRUE(SameBits(p->out, plain.out));
  }
}

TEST(Var, TheWorkedExampleOfThePaperNotes) {
  // α = [.30 .20 .10 .05 .05 .20 .10]: key 0 a text sink, 1 to 4 visual with 1 a sink, 5 and 6 text.
  const std::vector<float> alpha = {.30F, .20F, .10F, .05F, .05F, .20F, .10F};
  const std::vector<float> recycle60 = {.12F, .08F, .25F, .125F, .125F, .20F, .10F};
  const std::vector<float> recycle40 = {.18F, .12F, .20F, .10F, .10F, .20F, .10F};
  const std::vector<uint8_t> classes = {kTextSink, kVisualSink, kContent, kContent,
                                        kContent,  kText,       kText};
  Problem p(1, 1, 7, {{1, 7}}, 1);
  const KvLayer kv = p.pool.layer(0);
  float* keys = kv.key_page(p.runs[0].pages[0], 0);
  float* values = kv.value_page(p.runs[0].pages[0], 0);
  for (int64_t j = 0; j < 7; ++j) {
    for (int64_t i = 0; i < 7;
         ++i) {  // the scores are log α, the values unit vectors: O is the weights
      keys[i * kPageTokens + j] = i == 0 ? std::log(alpha[static_cast<size_t>(j)]) : 0.0F;
      values[j * ValueStride(7) + i] = i == j ? 1.0F : 0.0F;
    }
  }
  std::fill_n(p.q.f32(), 7, std::sqrt(7.0F));
  SegmentPolicy policy{.classes = classes, .rule = &VarByContentShare, .params = {}, .masses = {}};
  p.runs[0].segments = &policy;
  Exec ex(1);
  const auto expect = [&](SegmentRule rule, VarParams params, const std::vector<float>& want) {
    policy.rule = rule;
    policy.params = params;
    policy.params.visual_keys = 4;
    Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
    for (size_t j = 0; j < 7; ++j) EXPECT_NEAR(p.out.f32()[j], want[j], 2e-7) << j;
  };
  expect(&VarByContentShare, {.p = 0.6F, .rho = 0.49F, .mass = 0.2F}, recycle60);
  expect(&VarBySinkShare, {.p = 0.4F, .rho = 0.51F, .mass = 0.2F}, recycle40);
  expect(&VarByContentShare, {.p = 0.6F, .rho = 0.51F, .mass = 0.2F}, alpha);  // ρ above the share
  expect(&VarByContentShare, {.p = 0.6F, .rho = 0.49F, .mass = 0.41F},
         alpha);  // too little visual mass
}

TEST(Var, MassesAreThoseOfTheWeightsAndRowSumsArePreserved) {
  SegmentProblem p(&VarByContentShare, kPaper);
  Exec ex(1);
  p.Run();
  for (const int64_t t : {0, 13, 29}) {
    for (int64_t h = 0; h < 6; ++h) {
      std::vector<float> weights(220), scratch(220), map(220), only(6);
      AttentionWeights({ex, p.args(Mask::kCausal), p.runs[0], t, p.lse}, h, weights);
      double masses[3] = {};
      for (size_t j = 0; j < 220; ++j) {
        if (p.classes[j] == kContent) masses[0] += weights[j];
        if (p.classes[j] == kVisualSink) masses[1] += weights[j];
        if (p.classes[j] == kTextSink) masses[2] += weights[j];
      }
      for (int64_t c = 0; c < 3; ++c) EXPECT_NEAR(p.masses.row(t)[3 * h + c], masses[c], 2e-6);
      only[static_cast<size_t>(h)] = 1;
      AddAttentionMap({ex, p.args(Mask::kCausal), p.runs[0], t, p.lse}, only, scratch, map);
      double sum = 0, want_lse = 0;
      const std::vector<double> want =
          WeightsRef(p.args(Mask::kCausal), p.runs[0], t, h, &want_lse);
      for (size_t j = 0; j < 220; ++j) {
        sum += map[j];
        EXPECT_NEAR(map[j], want[j], 1e-6);
      }
      EXPECT_NEAR(sum, 1, 2e-6);
    }
  }
}

TEST(Var, ARowDoesNotDependOnWhatSharesTheCall) {
  SegmentProblem p(&VarByContentShare, kPaper);
  p.Run();
  Tensor alone = p.out.Clone(), alone_lse = p.lse.Clone();
  Exec one(1);
  for (int64_t i = 0; i < 30; ++i) {
    QueryRun step = p.runs[0];
    step.first_row += i;
    step.first_position += i;
    step.rows = 1;
    step.keys = step.first_position + 1;
    AttentionArgs args = p.args(Mask::kCausal);
    args.runs = {&step, 1};
    Attention(one, args, alone, alone_lse);
  }
  EXPECT_TRUE(SameBits(alone, p.out));
}

// Scores that leave hardly any weight somewhere: all on sinks, none on content, a single key, ties at ±1e4.
TEST(Var, AdversarialScoresEqualTheExplicitMatrix) {
  enum Kind {
    kAllOnSinks,
    kLittleOnContent,
    kNoneOnContent,
    kAllOnContent,
    kTiesAtTenThousand,
    kMinusInfinity
  };
  for (const Kind kind : {kAllOnSinks, kLittleOnContent, kNoneOnContent, kAllOnContent,
                          kTiesAtTenThousand, kMinusInfinity}) {
    SegmentProblem p(&VarByContentShare, {.p = 0.6F, .rho = 0, .mass = 0});
    const KvLayer kv = p.pool.layer(0);
    std::fill_n(p.q.f32(), p.q.view().elements(), 1.0F);
    for (int64_t j = 0; j < 220; ++j) {
      const uint8_t c = p.classes[static_cast<size_t>(j)];
      float score = p.numbers.Normal();
      if (kind == kAllOnSinks && (c & kSinkKey) == 0) score -= 60;
      if (kind == kLittleOnContent && c == kContent) score -= 50;
      if (kind == kNoneOnContent && c == kContent) score -= 95;  // weights near the end of f32
      if (kind == kAllOnContent && c != kContent) score -= 200;
      if (kind == kTiesAtTenThousand) score = j % 3 == 0 ? 1e4F : -1e4F;
      if (kind == kMinusInfinity && j % 2 == 0) score = -INFINITY;
      for (int64_t h = 0; h < 2; ++h) {
        float* key = kv.key_page(p.runs[0].pages[static_cast<size_t>(j / 64)], h) + j % 64;
        for (int64_t i = 0; i < 24; ++i) key[i * kPageTokens] = i == 0 ? score : 0.0F;
      }
    }
    AttentionArgs args = p.args(Mask::kCausal);
    args.scale = 1;
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    Exec ex(2);
    Attention(ex, args, p.out, p.lse);
    AttentionRef(args, want, want_lse);
    EXPECT_TRUE(Near(p.out, want, "var")) << kind;
    EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << kind;
  }
}

TEST(Var, SinksWhoseValuesDwarfAllOthersLeaveNoRounding) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const float larger : {10.0F, 100.0F, 3e4F}) {
      SegmentProblem p(&VarByContentShare, {.p = 1, .rho = 0, .mass = 0});
      Problem stored({6, 2, 24, 1, dtype}, {{30, 220}}, 5);
      QueryRun run = stored.runs[0];
      run.segments = &p.policy;
      for (int64_t j = 0; j < 220; ++j) {
        if ((p.classes[static_cast<size_t>(j)] & kSinkKey) == 0) continue;
        const std::vector<int32_t> slot = {stored.sequences[0]->Slot(j)};
        Tensor key = RandomTensor({1, 48}, p.numbers),
               value = RandomTensor({1, 48}, p.numbers, larger);
        Exec one(1);
        WriteKv(one, key, value, slot, stored.pool.layer(0));
      }
      AttentionArgs args = stored.args(Mask::kCausal);
      args.runs = {&run, 1};
      Tensor want = p.out.Clone(), want_lse = p.lse.Clone(), one_row = p.out.Clone();
      Exec ex(2);
      Attention(ex, args, p.out, p.lse);
      AttentionRef(args, want, want_lse);
      if (dtype == DType::kF32) {
        EXPECT_TRUE(Near(p.out, want, "var")) << larger;
      } else {  // weights are rounded, those of sinks in the sum and in what is taken off it alike
        for (int64_t i = 0; i < want.view().elements(); ++i)
          ASSERT_NEAR(p.out.f32()[i], want.f32()[i], 0x1p-8) << larger;
      }
      EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << larger;
      for (int64_t i = 0; i < 30; ++i) {
        QueryRun step = run;
        step.first_row += i;
        step.first_position += i;
        step.rows = 1;
        step.keys = step.first_position + 1;
        args.runs = {&step, 1};
        Attention(ex, args, one_row, want_lse);
      }
      EXPECT_TRUE(SameBits(one_row, p.out)) << larger;
    }
  }
}

TEST(Var, NoContentAtAllLeavesTheRowAlone) {
  SegmentProblem p(&VarByContentShare, {.p = 0.6F, .rho = 0, .mass = 0});
  for (uint8_t& c : p.classes) c |= c == kContent ? kSinkKey : 0;
  SegmentProblem plain(nullptr, {});
  plain.runs[0].segments = nullptr;
  p.Run();
  plain.Run();
  EXPECT_TRUE(SameBits(p.out, plain.out));
}

TEST(Segments, PartsOverDisjointKeysMergeToTheWhole) {
  for (const int64_t cut : {1, 63, 64, 70, 128, 200, 219}) {
    Problem p(6, 2, 24, {{30, 220}}, 8);
    Exec ex(2);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    Attention(ex, p.args(Mask::kCausal), want, want_lse);
    Tensor after = p.out.Clone(), after_lse = p.lse.Clone();
    QueryRun& run = p.runs[0];
    run.first_key = cut;
    Attention(ex, p.args(Mask::kCausal), after, after_lse);
    Tensor want_after = after.Clone(), want_after_lse = after_lse.Clone();
    AttentionRef(p.args(Mask::kCausal), want_after, want_after_lse);
    EXPECT_TRUE(Near(after, want_after, "attention")) << cut;
    EXPECT_TRUE(Near(after_lse, want_after_lse, "lse")) << cut;
    // The keys before the cut, seen by all rows that come after them.
    if (cut > 190) continue;
    run.first_key = 0;
    run.keys = cut;
    AttentionArgs before = p.args(Mask::kNone);
    Attention(ex, before, p.out, p.lse);
    MergeAttention(ex, after, after_lse, p.out, p.lse);
    EXPECT_TRUE(Near(p.out, want, "attention")) << cut;
    EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << cut;
  }
}

TEST(Segments, MergingWithNothingChangesNothing) {
  Problem p(2, 1, 8, {{4, 10}}, 9);
  Exec ex(1);
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  const Tensor before = p.out.Clone(), before_lse = p.lse.Clone();
  Tensor nothing = Tensor::F32({4, 16}, "o"), never = Tensor::F32({4, 2}, "lse");
  std::fill_n(never.f32(), 8, -INFINITY);
  MergeAttention(ex, nothing, never, p.out, p.lse);
  EXPECT_TRUE(SameBits(p.out, before));
  EXPECT_TRUE(SameBits(p.lse, before_lse));
  MergeAttention(ex, nothing, never, nothing, never);
  EXPECT_EQ(nothing.f32()[0], 0);
  EXPECT_EQ(never.f32()[0], -INFINITY);
}

}  // namespace
}  // namespace binocle
