#include "attention/place_kv.h"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;

// What Rope and WriteKv would have put there, for heads whose halves are even and odd.
TEST(PlaceKv, GivesThePagesThatRotatingAndWritingGives) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const auto& [d, tokens, first] : {std::tuple<int64_t, int64_t, int64_t>{24, 1, 0},
                                           {24, 5, 62},
                                           {6, 63, 1},
                                           {24, 144, 7},
                                           {72, 130, 64}}) {
      const int64_t heads = 2;
      Numbers numbers(3);
      const Tensor k = RandomTensor({tokens, heads * d}, numbers),
                   v = RandomTensor({tokens, heads * d}, numbers);
      const RopeTable rope = RopeTable::Make(d, {}, 400);
      Exec ex(2);
      KvPool want_pool(1, heads, d, 8, dtype), got_pool(1, heads, d, 8, dtype);
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

      const Tensor memory = Tensor::F32({KeptKv::Floats(heads, d, tokens)});
      std::vector<KeptKv> kept{KeptKv::In(memory.f32(), heads, d, tokens)};
      const int64_t cut = tokens / 2;  // stored in two parts
      kept[0].Store(ex, k.view().Rows(0, cut), v.view().Rows(0, cut), 0);
      kept[0].Store(ex, k.view().Rows(cut, tokens), v.view().Rows(cut, tokens), cut);
      PlaceKv(ex, kept, rope.ByFrequency(), first, got_pool, got);
      const double tolerance = dtype == DType::kF32 ? 1e-6 : 0x1p-7;
      for (int64_t page = 0; page < 8; ++page) {
        for (int64_t h = 0; h < heads; ++h) {
          for (int64_t t = 0; t < kPageTokens; ++t) {
            for (int64_t i = 0; i < d; ++i) {
              ASSERT_NEAR(got_pool.layer(0).Key(page, h, t, i),
                          want_pool.layer(0).Key(page, h, t, i), tolerance)
                  << d << " " << tokens << " at " << first;
              ASSERT_EQ(got_pool.layer(0).Value(page, h, t, i),
                        want_pool.layer(0).Value(page, h, t, i))
                  << d << " " << tokens << " at " << first;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace binocle
