#include "attention/place_kv.h"

#include <gtest/gtest.h>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

// What Rope and WriteKv would have put there.
TEST(PlaceKv, GivesThePagesThatRotatingAndWritingGives) {
  const int64_t heads = 2, d = 24;
  for (const auto& [tokens, first] :
       {std::pair<int64_t, int64_t>{1, 0}, {5, 62}, {63, 1}, {144, 7}, {130, 64}}) {
    Numbers numbers(3);
    const Tensor k = RandomTensor({tokens, heads * d}, numbers),
                 v = RandomTensor({tokens, heads * d}, numbers);
    const RopeTable rope = RopeTable::Make(d, {}, 400);
    Exec ex(2);
    KvPool want_pool(1, heads, d, 8), got_pool(1, heads, d, 8);
    KvSequence want(want_pool), got(got_pool);
    want.Extend(first + tokens);
    got.Extend(first + tokens);
    Tensor rotated = k.Clone();
    std::vector<int32_t> positions, slots;
    for (int64_t t = 0; t < tokens; ++t) {
      positions.push_back(static_cast<int32_t>(first + t));
      slots.push_back(want.Slot(first + t));
    }
    Rope(ex, rope, positions, rotated);
    WriteKv(ex, rotated, v, slots, want_pool.layer(0));

    std::vector<KeptKv> kept;
    kept.push_back(KeptKv::Make(heads, d, tokens));
    const int64_t cut = tokens / 2;  // stored in two parts
    kept[0].Store(k.view().Rows(0, cut), v.view().Rows(0, cut), 0);
    kept[0].Store(k.view().Rows(cut, tokens), v.view().Rows(cut, tokens), cut);
    PlaceKv(ex, kept, rope.ByFrequency(), first, got_pool, got);
    for (int64_t page = 0; page < 8; ++page) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t i = 0; i < d * kPageTokens; ++i)
          ASSERT_NEAR(got_pool.layer(0).key_page(page, h)[i],
                      want_pool.layer(0).key_page(page, h)[i], 1e-6)
              << tokens << " at " << first;
        for (int64_t i = 0; i < kPageTokens * ValueStride(d); ++i)
          ASSERT_EQ(got_pool.layer(0).value_page(page, h)[i],
                    want_pool.layer(0).value_page(page, h)[i])
              << tokens << " at " << first;
      }
    }
  }
}

}  // namespace
}  // namespace binocle
