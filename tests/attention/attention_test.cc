#include "attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// Every row as a decode step of its own, with no more keys than it sees.
void AttendRowByRow(Exec& ex, const Problem& p, const TensorView& out, const TensorView& lse) {
  for (const QueryRun& run : p.runs) {
    for (int64_t i = 0; i < run.rows; ++i) {
      const QueryRun step{.first_row = run.first_row + i,
                          .rows = 1,
                          .first_position = run.first_position + i,
                          .keys = run.first_position + i + 1,
                          .pages = run.pages};
      AttentionArgs args = p.args(Mask::kCausal);
      args.runs = {&step, 1};
      Attention(ex, args, out, lse);
    }
  }
}

TEST_P(AttentionShapes, ARowDoesNotDependOnWhatSharesTheCall) {
  const AttentionCase& c = GetParam();
  Problem p(c.heads, c.kv_heads, c.d, c.rows_and_keys, 12);
  Exec two(2), one(1);
  Attention(two, p.args(Mask::kCausal), p.out, p.lse);
  Tensor alone = p.out.Clone(), alone_lse = p.lse.Clone();
  AttendRowByRow(one, p, alone, alone_lse);
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
    AttentionWeights({ex, args, p.runs[0], 1, p.lse}, head, weights);
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

// The levels of core/cpu_level.h that this processor has.
std::vector<CpuLevel> LevelsHere() {
  const std::span<const CpuLevel> all = CpuLevels();
  return {all.begin(), std::find(all.begin(), all.end(), BestCpuLevel()) + 1};
}

Problem Bf16Problem(const AttentionCase& c, uint64_t seed) {
  return {{.heads = c.heads, .kv_heads = c.kv_heads, .d = c.d, .kv_dtype = DType::kBF16},
          c.rows_and_keys,
          seed};
}

// Weights are rounded to 8 bits, so a sum is off by at most 2⁻⁸ of the sum of magnitudes; that of the weights is not touched.
void ExpectNearExplicit(const Problem& p, const AttentionArgs& args, CpuLevel level) {
  for (const QueryRun& run : args.runs) {
    for (int64_t row = 0; row < run.rows; ++row) {
      for (int64_t head = 0; head < p.heads; ++head) {
        double lse = 0;
        const std::vector<double> weights = WeightsRef(args, run, row, head, &lse);
        ASSERT_NEAR(p.lse.row(run.first_row + row)[head], lse, 4e-6 * (1 + std::abs(lse)))
            << CpuLevelName(level);
        for (int64_t i = 0; i < p.d; ++i) {
          double o = 0, magnitude = 0;
          for (int64_t j = 0; j < run.keys; ++j) {
            const double part = weights[static_cast<size_t>(j)] *
                                args.kv.Value(run.pages[static_cast<size_t>(j / 64)],
                                              head / (p.heads / args.kv.kv_heads), j % 64, i);
            o += part;
            magnitude += std::abs(part);
          }
          ASSERT_NEAR(p.out.row(run.first_row + row)[head * p.d + i], o, 0x1p-8 * magnitude)
              << CpuLevelName(level) << " row " << row << " head " << head << " dimension " << i;
        }
      }
    }
  }
}

TEST_P(AttentionShapes, StoredInBf16IsNearTheExplicitMatrixOfTheStoredNumbers) {
  Problem p = Bf16Problem(GetParam(), 18);
  Tensor q(DType::kBF16, p.q.shape(), "q");
  for (int64_t i = 0; i < q.view().elements(); ++i)
    static_cast<Bf16*>(q.view().data())[i] = Bf16FromF32(p.q.f32()[i]);
  for (const CpuLevel level : LevelsHere()) {
    Exec ex(2, level);
    for (const Mask mask : {Mask::kCausal, Mask::kNone}) {
      AttentionArgs args = p.args(mask);
      for (const TensorView& queries : {p.q.view(), q.view()}) {
        args.q = queries;
        Attention(ex, args, p.out, p.lse);
        ExpectNearExplicit(p, args, level);
      }
    }
  }
}

TEST_P(AttentionShapes, StoredInBf16ARowDoesNotDependOnWhatSharesTheCall) {
  Problem p = Bf16Problem(GetParam(), 21);
  for (const CpuLevel level : LevelsHere()) {
    Exec two(2, level), one(1, level);
    Attention(two, p.args(Mask::kCausal), p.out, p.lse);
    Tensor alone = p.out.Clone(), alone_lse = p.lse.Clone();
    AttendRowByRow(one, p, alone, alone_lse);
    EXPECT_TRUE(SameBits(alone, p.out)) << CpuLevelName(level);
    EXPECT_TRUE(SameBits(alone_lse, p.lse)) << CpuLevelName(level);
  }
}

TEST(Attention, WhatAPageHoldsBehindTheLastTokenIsNotRead) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t keys : {1, 31, 32, 33, 63, 95}) {
      Problem p({.heads = 2, .kv_heads = 1, .d = 24, .kv_dtype = dtype}, {{1, keys}}, 22);
      for (const CpuLevel level : LevelsHere()) {
        Exec ex(1, level);
        Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
        const Tensor want = p.out.Clone();
        const Tensor nan = Tensor::F32({1, 24}, "nan");
        std::fill_n(nan.f32(), 24, NAN);
        for (int64_t at = keys; at < PagesFor(keys) * kPageTokens; ++at) {
          const std::vector<int32_t> slot = {
              static_cast<int32_t>(p.runs[0].pages[at / 64] * 64 + at % 64)};
          WriteKv(ex, nan, nan, slot, p.pool.layer(0));
        }
        Attention(ex, p.args(Mask::kCausal), p.out, p.lse);
        EXPECT_TRUE(SameBits(p.out, want)) << keys << " " << CpuLevelName(level);
      }
    }
  }
}

// Sequences that share their first pages are computed side by side; each as if it were alone.
TEST(Attention, SequencesThatSharePagesChangeNothingForEachOther) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t group : {1, 8, 20}) {
      Problem p({.heads = 2 * group, .kv_heads = 2, .d = 40, .kv_dtype = dtype}, {{7, 7}, {1, 300}},
                23);
      const KvSequence& first = *p.sequences[1];
      std::vector<KvSequence> forks;
      for (const int64_t more : {1, 2, 3, 70, 100, 140}) {
        forks.push_back(first.Fork());
        forks.back().Truncate(more == 3 ? 200 : 300);  // one shares less
        forks.back().Extend(more);
      }
      forks.push_back(first.Fork());
      Exec ex(2);
      std::vector<QueryRun> runs = {p.runs[0]};
      int64_t rows = 7;
      // Nothing of the shared sequence itself is asked.
      runs.push_back({.first_row = rows, .keys = first.length(), .pages = first.pages()});
      for (const KvSequence& fork : forks) {
        for (int64_t at = 300; at < fork.length(); ++at) {
          const std::vector<int32_t> slot = {fork.Slot(at)};
          WriteKv(ex, RandomTensor({1, 80}, p.numbers), RandomTensor({1, 80}, p.numbers), slot,
                  p.pool.layer(0));
        }
        runs.push_back({.first_row = rows,
                        .rows = 2,
                        .first_position = fork.length() - 2,
                        .keys = fork.length(),
                        .pages = fork.pages()});
        rows += 2;
      }
      const Tensor q = RandomTensor({rows, 80 * group}, p.numbers);
      Tensor out = Tensor::F32(q.shape(), "out"), lse = Tensor::F32({rows, 2 * group}, "lse");
      Tensor alone = out.Clone(), alone_lse = lse.Clone();
      AttentionArgs args = p.args(Mask::kCausal);
      args.q = q;
      args.runs = runs;
      Attention(ex, args, out, lse);
      for (const QueryRun& run : runs) {
        args.runs = {&run, 1};
        Attention(ex, args, alone, alone_lse);
      }
      EXPECT_TRUE(SameBits(out, alone)) << group;
      EXPECT_TRUE(SameBits(lse, alone_lse)) << group;
    }
  }
}

}  // namespace
}  // namespace binocle
