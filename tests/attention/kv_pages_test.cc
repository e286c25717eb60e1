#include "attention/kv_pages.h"

#include <gtest/gtest.h>

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

TEST(KvSequence, AForkSharesPagesUntilOneOfThemGrows) {
  testing::Numbers numbers(2);
  KvPool pool(2, 2, 24, 8);
  Exec ex(1);
  KvSequence a(pool);
  a.Extend(70);
  std::vector<int32_t> slots;
  for (int64_t p = 0; p < 70; ++p) slots.push_back(a.Slot(p));
  const Tensor k = testing::RandomTensor({70, 48}, numbers),
               v = testing::RandomTensor({70, 48}, numbers);
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
      for (int64_t t = 0; t < 6; ++t) {
        for (int64_t i = 0; i < 24; ++i) {
          ASSERT_EQ(kv.key_page(b.pages()[1], head)[i * 64 + t], k.row(64 + t)[head * 24 + i]);
          ASSERT_EQ(kv.value_page(b.pages()[1], head)[t * ValueStride(24) + i],
                    v.row(64 + t)[head * 24 + i]);
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

TEST(KvPool, PagesOfHeadsNeverOverlapAndFillTheirMemory) {
  for (const int64_t pages : {1, 5, 16, 37}) {
    const KvPool pool(1, 3, 24, pages);
    const KvLayer layer = pool.layer(0);
    std::set<int64_t> keys, values;
    for (int64_t page = 0; page < pages; ++page) {
      for (int64_t head = 0; head < 3; ++head) {
        keys.insert(layer.key_page(page, head) - layer.key_page(0, 0));
        values.insert(layer.value_page(page, head) - layer.value_page(0, 0));
      }
    }
    const int64_t key_page = 24 * 64, value_page = 64 * ValueStride(24);
    EXPECT_EQ(std::ssize(keys), 3 * pages);
    EXPECT_EQ(std::ssize(values), 3 * pages);
    for (const int64_t at : keys) EXPECT_EQ(at % key_page, 0);
    for (const int64_t at : values) EXPECT_EQ(at % value_page, 0);
    EXPECT_LE(4 * (*keys.rbegin() + key_page + *values.rbegin() + value_page),
              KvPool::Bytes(1, 3, 24, pages));
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

}  // namespace
}  // namespace binocle
