#include "attention/kv_pages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

TEST(KvSequence, TakesPagesAsItGrowsAndGivesThemBack) {
  KvPool pool(1, 1, 8, 4);
  {
    KvSequence sequence(pool);
    EXPECT_EQ(sequence.Extend(64), 0);
    EXPECT_EQ(pool.free_pages(), 3);
    EXPECT_EQ(sequence.Extend(1), 64);
    EXPECT_EQ(pool.free_pages(), 2);
    sequence.Truncate(64);
    EXPECT_EQ(pool.free_pages(), 3);
  }
  EXPECT_EQ(pool.free_pages(), 4);
}

TEST(KvSequence, RunningOutOfPagesChangesNothing) {
  KvPool pool(1, 1, 8, 3);
  KvSequence a(pool), b(pool);
  a.Extend(100);
  EXPECT_THROW(b.Extend(65), Error);
  EXPECT_EQ(b.length(), 0);
  EXPECT_EQ(pool.free_pages(), 1);
  EXPECT_EQ(b.Extend(64), 0);
}

class KvTypes : public ::testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Stored, KvTypes, ::testing::Values(DType::kF32, DType::kBF16));

float Rounded(float value, DType dtype) {
  return dtype == DType::kF32 ? value : F32FromBf16(Bf16FromF32(value).bits);
}

TEST_P(KvTypes, AForkSharesPagesUntilOneOfThemGrows) {
  testing::Numbers numbers(2);
  KvPool pool(2, 2, 24, 8, GetParam());
  Exec ex(1);
  KvSequence a(pool);
  a.Extend(70);
  std::vector<int32_t> slots;
  for (int64_t p = 0; p < 69; ++p) slots.push_back(a.Slot(p));
  const Tensor k = testing::RandomTensor({69, 48}, numbers),
               v = testing::RandomTensor({69, 48}, numbers);
  a.Truncate(69);
  for (const int64_t layer : {0, 1}) WriteKv(ex, k, v, slots, pool.layer(layer));
  KvSequence b = a.Fork();
  EXPECT_EQ(pool.free_pages(), 6);
  EXPECT_EQ(b.PagesToExtend(1), 1) << "the last page is copied";
  b.Extend(1);
  EXPECT_EQ(pool.free_pages(), 5);
  EXPECT_EQ(a.pages()[0], b.pages()[0]);
  ASSERT_NE(a.pages()[1], b.pages()[1]);
  for (const int64_t layer : {0, 1}) {
    const KvLayer kv = pool.layer(layer);
    for (const int64_t head : {0, 1}) {
      for (int64_t t = 0; t < 5; ++t) {
        for (int64_t i = 0; i < 24; ++i) {
          ASSERT_EQ(kv.Key(b.pages()[1], head, t, i),
                    Rounded(k.row(64 + t)[head * 24 + i], GetParam()));
          ASSERT_EQ(kv.Value(b.pages()[1], head, t, i),
                    Rounded(v.row(64 + t)[head * 24 + i], GetParam()));
        }
      }
    }
  }
  EXPECT_EQ(a.PagesToExtend(1), 0) << "nobody else reads it any more";
  a.Truncate(0);
  EXPECT_EQ(pool.free_pages(), 6) << "the first page is b's still";
  b.Truncate(0);
  EXPECT_EQ(pool.free_pages(), 8);
}

TEST(KvSequence, AForkAtTheEndOfAPageCopiesNothing) {
  KvPool pool(1, 1, 8, 3);
  KvSequence a(pool);
  a.Extend(64);
  KvSequence b = a.Fork();
  EXPECT_EQ(b.PagesToExtend(1), 1);
  b.Extend(1);
  a.Extend(1);
  EXPECT_EQ(pool.free_pages(), 0);
  EXPECT_THROW(a.Extend(64), Error);
  EXPECT_EQ(a.length(), 65);
}

TEST(KvSequence, SlotsOfTwoSequencesNeverMeet) {
  KvPool pool(1, 1, 8, 8);
  KvSequence a(pool), b(pool);
  std::set<int32_t> slots;
  for (int i = 0; i < 10; ++i) {
    a.Extend(13);
    b.Extend(20);
  }
  for (int64_t p = 0; p < a.length(); ++p) slots.insert(a.Slot(p));
  for (int64_t p = 0; p < b.length(); ++p) slots.insert(b.Slot(p));
  EXPECT_EQ(slots.size(), static_cast<size_t>(a.length() + b.length()));
}

TEST_P(KvTypes, PagesOfHeadsNeverOverlapAndFillTheirMemory) {
  const auto size = static_cast<int64_t>(DTypeSize(GetParam()));
  for (const int64_t pages : {1, 5, 16, 37}) {
    const KvPool pool(1, 3, 24, pages, GetParam());
    const KvLayer layer = pool.layer(0);
    std::set<int64_t> keys, values;
    for (int64_t page = 0; page < pages; ++page) {
      for (int64_t head = 0; head < 3; ++head) {
        keys.insert(layer.key_bytes(page, head) - layer.key_bytes(0, 0));
        values.insert(layer.value_bytes(page, head) - layer.value_bytes(0, 0));
      }
    }
    const int64_t key_page = size * 64 * KeyRows(24, GetParam()),
                  value_page = size * 64 * ValueRows(24, GetParam());
    EXPECT_EQ(std::ssize(keys), 3 * pages);
    EXPECT_EQ(std::ssize(values), 3 * pages);
    for (const int64_t at : keys) EXPECT_EQ(at % key_page, 0);
    for (const int64_t at : values) EXPECT_EQ(at % value_page, 0);
    EXPECT_LE(*keys.rbegin() + key_page + *values.rbegin() + value_page,
              KvPool::Bytes(1, 3, 24, pages, GetParam()));
  }
}

TEST(WriteKv, PutsKeysTransposedAndValuesInRows) {
  testing::Numbers numbers(1);
  KvPool pool(2, 2, 24, 2);
  const Tensor k = testing::RandomTensor({3, 48}, numbers),
               v = testing::RandomTensor({3, 48}, numbers);
  const std::vector<int32_t> slots = {5, 63, 64};
  Exec ex(2);
  const KvLayer layer = pool.layer(1);
  WriteKv(ex, k, v, slots, layer);
  EXPECT_EQ(layer.key_page(0, 1)[7 * 64 + 63], k.row(1)[24 + 7]);
  EXPECT_EQ(layer.key_page(1, 0)[23 * 64 + 0], k.row(2)[23]);
  EXPECT_EQ(layer.value_page(0, 1)[5 * ValueStride(24) + 3], v.row(0)[24 + 3]);
  EXPECT_EQ(pool.layer(0).key_page(0, 1)[7 * 64 + 63], 0) << "another layer";
}

// Dimensions in pairs, tokens in pairs: with and without a neighbour, an odd number of dimensions, more than a panel of them.
TEST(WriteKv, PutsPairsWhereTheIndexSays) {
  for (const int64_t d : {1, 24, 33, 96}) {
    testing::Numbers numbers(3);
    KvPool pool(1, 2, d, 2, DType::kBF16);
    const std::vector<int32_t> slots = {4, 5, 9, 10, 11, 63, 64, 127, 2};
    const auto rows = std::ssize(slots);
    const Tensor k = testing::RandomTensor({rows, 2 * d}, numbers),
                 v = testing::RandomTensor({rows, 2 * d}, numbers);
    Exec ex(2);
    const KvLayer layer = pool.layer(0);
    WriteKv(ex, k, v, slots, layer);
    double sum = 0, want = 0;
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t t = 0; t < rows; ++t) {
        const int64_t slot = slots[static_cast<size_t>(t)];
        for (int64_t i = 0; i < d; ++i) {
          const float key = Rounded(k.row(t)[head * d + i], DType::kBF16);
          const float value = Rounded(v.row(t)[head * d + i], DType::kBF16);
          ASSERT_EQ(layer.Key(slot / 64, head, slot % 64, i), key) << d << " " << t << " " << i;
          ASSERT_EQ(layer.Value(slot / 64, head, slot % 64, i), value) << d << " " << t << " " << i;
          want += std::abs(key) + std::abs(value);
        }
      }
      for (int64_t page = 0; page < 2; ++page) {
        for (int64_t at = 0; at < 64 * KeyRows(d, DType::kBF16); ++at)
          sum += std::abs(F32FromBf16(layer.key_page<Bf16>(page, head)[at].bits));
        for (int64_t at = 0; at < 64 * ValueRows(d, DType::kBF16); ++at)
          sum += std::abs(F32FromBf16(layer.value_page<Bf16>(page, head)[at].bits));
      }
    }
    EXPECT_NEAR(sum, want, 1e-9 * want) << "nothing else is written";
  }
}

}  // namespace
}  // namespace binocle
