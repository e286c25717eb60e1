#include "attention/attention.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numeric>

#include "attention/attention_map.h"
#include "attention/attention_ref.h"
#include "core/convert.h"
#include "tests/attention/problem.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Near;
using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

struct AttentionCase {
  int64_t heads, kv_heads, d;
  std::vector<std::pair<int64_t, int64_t>> rows_and_keys;
};

class AttentionShapes : public ::testing::TestWithParam<AttentionCase> {};

// Head widths around vector and panel sizes; one key, page edges ± 1, decode, prefill, ragged batches, grouped queries; more keys than a
// stretch of pages holds, and more pages than lie together.
INSTANTIATE_TEST_SUITE_P(
    Awkward, AttentionShapes,
    ::testing::Values(AttentionCase{1, 1, 64, {{1, 1}}}, AttentionCase{2, 1, 24, {{5, 5}}},
                      AttentionCase{6, 2, 80, {{1, 64}, {1, 65}, {3, 63}}},
                      AttentionCase{4, 4, 16, {{130, 130}}},
                      AttentionCase{8, 1, 128, {{9, 200}, {1, 7}}},
                      AttentionCase{3, 3, 1, {{17, 70}}}, AttentionCase{4, 2, 256, {{50, 129}}},
                      AttentionCase{96, 1, 8, {{3, 90}}}, AttentionCase{1, 1, 16, {{1, 6500}}},
                      AttentionCase{6, 2, 20, {{13, 1300}, {2, 2200}}},
                      AttentionCase{5, 5, 33, {{64, 128}, {1, 128}}}));

TEST_P(AttentionShapes, EqualsTheExplicitMatrixCausalAndNot) {
  const AttentionCase& c = GetParam();
  for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
    Problem p(c.heads, c.kv_heads, c.d, c.rows_and_keys, 11);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    Exec ex(2);
    Attention(ex, p.args(mask), p.out, p.lse);
    AttentionRef(p.args(mask), want, want_lse);
    EXPECT_TRUE(Near(p.out, want, "attention"));
    EXPECT_TRUE(Near(p.lse, want_lse, "lse"));
  }
}

TEST_P(AttentionShapes, ARowDoesNotDependOnWhatSharesTheCall) {
  const AttentionCase& c = GetParam();
  Problem p(c.heads, c.kv_heads, c.d, c.rows_and_keys, 12);
  Exec two(2), one(1);
  Attention(two, p.args(Mask::kCausal), p.out, p.lse);
  Tensor alone = p.out.Clone(), alone_lse = p.lse.Clone();
  // Every row as a decode step of its own, with no more keys than it sees.
  for (const QueryRun& run : p.runs) {
    for (int64_t i = 0; i < run.rows; ++i) {
      const QueryRun step{.first_row = run.first_row + i,
                          .rows = 1,
                          .first_position = run.first_position + i,
                          .keys = run.first_position + i + 1,
                          .pages = run.pages};
      AttentionArgs args = p.args(Mask::kCausal);
      args.runs = {&step, 1};
      Attention(one, args, alone, alone_lse);
    }
  }
  EXPECT_TRUE(SameBits(alone, p.out));
  EXPECT_TRUE(SameBits(alone_lse, p.lse));
}

// Windows within a page, of a page, over pages, and longer than the sequence.
TEST_P(AttentionShapes, InAWindowARowSeesItsOwnKeyAndThoseInFrontOfIt) {
  const AttentionCase& c = GetParam();
  for (const int64_t window : {1, 5, 64, 129, 5000}) {
    Problem p(c.heads, c.kv_heads, c.d, c.rows_and_keys, 16);
    Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
    Tensor alone = p.out.Clone(), alone_lse = p.lse.Clone();
    Exec ex(2);
    AttentionArgs args = p.args(Mask::kCausal);
    args.window = window;
    AttentionRef(args, want, want_lse);
    Attention(ex, args, p.out, p.lse);
    EXPECT_TRUE(Near(p.out, want, "attention")) << window;
    EXPECT_TRUE(Near(p.lse, want_lse, "lse")) << window;
    // Every row by itself, without a window and with no more keys than it leaves.
    std::vector<QueryRun> steps;
    for (const QueryRun& run : p.runs) {
      for (int64_t i = 0; i < run.rows; ++i) {
        const int64_t keys = run.first_position + i + 1;
        steps.push_back({.first_row = run.first_row + i,
                         .rows = 1,
                         .first_position = keys - 1,
                         .keys = keys,
                         .pages = run.pages,
                         .first_key = std::max<int64_t>(0, keys - window)});
      }
    }
    AttentionArgs plain = p.args(Mask::kCausal);
    plain.runs = steps;
    Attention(ex, plain, alone, alone_lse);
    EXPECT_TRUE(SameBits(alone, p.out)) << window;
    EXPECT_TRUE(SameBits(alone_lse, p.lse)) << window;
  }
}

TEST(Attention, LargeScoresNeitherOverflowNorLoseTheWinner) {
  Problem p(2, 2, 32, {{3, 150}}, 13, 60);  // scores of several hundred
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  Exec ex(2);
  Attention(ex, p.args(Mask::kNone), p.out, p.lse);
  AttentionRef(p.args(Mask::kNone), want, want_lse);
  for (int64_t i = 0; i < p.lse.view().elements(); ++i) {
    EXPECT_TRUE(std::isfinite(p.lse.f32()[i]));
    EXPECT_NEAR(p.lse.f32()[i], want_lse.f32()[i], 1e-5 * std::abs(want_lse.f32()[i]));
  }
}

TEST(Attention, OneKeyReturnsItsValue) {
  Problem p(2, 1, 10, {{1, 1}}, 14);
  Exec ex(1);
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  const float* value = p.pool.layer(0).value_page(p.runs[0].pages[0], 0);
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(p.out.f32()[i], value[i]);
    EXPECT_EQ(p.out.f32()[10 + i], value[i]);
  }
}

TEST(Attention, NoKeysGiveZeroAndMinusInfinity) {
  Problem p(1, 1, 8, {{2, 4}}, 15);
  QueryRun none = p.runs[0];
  none.keys = 0;
  AttentionArgs args = p.args(Mask::kNone);
  args.runs = {&none, 1};
  Exec ex(1);
  std::fill_n(p.out.f32(), 16, 5.0F);
  Attention(ex, args, p.out, p.lse);
  for (int64_t i = 0; i < 16; ++i) EXPECT_EQ(p.out.f32()[i], 0);
  EXPECT_EQ(p.lse.f32()[0], -INFINITY);
}

TEST(Attention, AnUndefinedScoreIsNotHidden) {
  // In one query of two: all its scores are NaN. In one key: one score of every row that sees it.
  Problem p(1, 1, 8, {{2, 70}}, 19);
  Exec ex(1);
  Attention(ex, p.args(Mask::kNone), p.out, p.lse);
  const Tensor want = p.out.Clone();
  for (const uint32_t bits : {0x7FC00000U, 0x7FC00001U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    p.q.row(0)[3] = std::bit_cast<float>(bits);
    Attention(ex, p.args(Mask::kNone), p.out, p.lse);
    EXPECT_TRUE(std::isnan(p.out.row(0)[0])) << bits;
    EXPECT_TRUE(std::isnan(p.lse.row(0)[0])) << bits;
  }
  EXPECT_TRUE(SameBits(p.out.view().Rows(1, 2), want.view().Rows(1, 2)));
  p.pool.layer(0).key_page(p.runs[0].pages[1], 0)[5] = NAN;
  Attention(ex, p.args(Mask::kNone), p.out, p.lse);
  EXPECT_TRUE(std::isnan(p.out.row(1)[0]));
}

TEST(Attention, OutputMayReplaceTheQueries) {
  Problem p(4, 2, 16, {{20, 90}}, 16);
  Exec ex(2);
  Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
  Attention(ex, p.args(Mask::kCausal), p.q, p.lse);
  EXPECT_TRUE(SameBits(p.q, p.out));
}

TEST(Attention, WeightsOfARowSumToOneAndRebuildItsOutput) {
  Problem p(4, 2, 16, {{3, 70}}, 17);
  Exec ex(1);
  const AttentionArgs args = p.args(Mask::kCausal);
  Attention(ex, args, p.out, p.lse);
  std::vector<float> weights(70);
  for (const int64_t head : {0, 3}) {
    AttentionWeights({args, p.runs[0], 1, p.lse}, head, weights);
    EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1, 1e-5);
    EXPECT_EQ(weights[69], 0) << "the last key lies after the row";
    double o = 0;
    for (size_t j = 0; j < 70; ++j)
      o +=
          weights[j] *
          p.args(Mask::kCausal).kv.value_page(p.runs[0].pages[j / 64], head / 2)[(j % 64) * 16 + 5];
    EXPECT_NEAR(o, p.out.row(1)[head * 16 + 5], 1e-5);
  }
}

TEST_P(AttentionShapes, StoredInBf16EqualsTheExplicitMatrixOfTheStoredNumbers) {
  const AttentionCase& c = GetParam();
  Problem p({.heads = c.heads, .kv_heads = c.kv_heads, .d = c.d, .kv_dtype = DType::kBF16},
            c.rows_and_keys, 18);
  Tensor q(DType::kBF16, p.q.shape(), "q");
  for (int64_t i = 0; i < q.view().elements(); ++i)
    static_cast<Bf16*>(q.view().data())[i] = Bf16FromF32(p.q.f32()[i]);
  Tensor want = p.out.Clone(), want_lse = p.lse.Clone();
  Exec ex(2);
  AttentionArgs args = p.args(Mask::kCausal);
  for (const TensorView& queries : {p.q.view(), q.view()}) {
    args.q = queries;
    Attention(ex, args, p.out, p.lse);
    AttentionRef(args, want, want_lse);
    EXPECT_TRUE(Near(p.out, want, "attention"));
    EXPECT_TRUE(Near(p.lse, want_lse, "lse"));
  }
}

}  // namespace
}  // namespace binocle
