// Scripts for the order of decoding: requests in, turns out, no pictures.
#include "service/engine/decode_order.h"

#include "service/engine/preparation.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace binocle {
namespace {

constexpr int64_t kSmall = 1'000'000, kLarge = 100'000'000;

// Who would be decoded, one after the other.
std::vector<int64_t> Turns(DecodeOrder& order) {
  std::vector<int64_t> ids;
  while (const auto entry = order.Take()) {
    ids.push_back(entry->id);
    order.Decoded(*entry, 0);
  }
  return ids;
}

TEST(DecodeOrder, PriorityThenArrivalThenNumber) {
  DecodeOrder order({});
  order.Add({.id = 1, .priority = 0, .arrival = 1, .pixels = kSmall});
  order.Add({.id = 2, .priority = 5, .arrival = 3, .pixels = kSmall});
  order.Add({.id = 3, .priority = 0, .arrival = 0, .pixels = kSmall});
  order.Add({.id = 5, .priority = -5, .arrival = -9, .pixels = kSmall});
  order.Add({.id = 4, .priority = 0, .arrival = 1, .pixels = kSmall});
  EXPECT_EQ(Turns(order), (std::vector<int64_t>{2, 3, 1, 4, 5}));
}

TEST(DecodeOrder, SmallOvertakesLargeButNotForEver) {
  DecodeOrder order({});
  order.Add({.id = 1, .arrival = 0, .pixels = kLarge});
  order.Add({.id = 2, .arrival = 1, .pixels = kSmall});
  order.Add({.id = 3, .arrival = 200, .pixels = kSmall});
  EXPECT_EQ(Turns(order), (std::vector<int64_t>{2, 1, 3}));
}

TEST(DecodeOrder, LargeOnesLeaveADecoderFree) {
  DecodeOrder order({.decoders = 2, .most_pixels = 1'000'000'000});
  order.Add({.id = 1, .arrival = 0, .pixels = kLarge});
  order.Add({.id = 2, .arrival = 0, .pixels = kLarge});
  const auto first = order.Take();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(order.Take().has_value()) << "the second large one waits";
  order.Add({.id = 3, .arrival = 99, .pixels = kSmall});
  const auto small = order.Take();
  ASSERT_TRUE(small.has_value());
  EXPECT_EQ(small->id, 3);
  order.Decoded(*first, 0);
  EXPECT_EQ(order.Take()->id, 2);
}

TEST(DecodeOrder, HugeOnesTogetherAreDecodedOneAfterTheOther) {
  DecodeOrder order({.decoders = 3, .most_pixels = 120'000'000});
  order.Add({.id = 1, .arrival = 0, .pixels = kLarge});
  order.Add({.id = 2, .arrival = 1, .pixels = kLarge});
  order.Add({.id = 3, .arrival = 2, .pixels = 2 * kLarge});
  const auto first = order.Take();
  EXPECT_FALSE(order.Take().has_value());
  order.Add({.id = 4, .arrival = 9, .pixels = 12 * kSmall});
  const auto photograph = order.Take();
  ASSERT_TRUE(first && photograph);
  EXPECT_EQ(photograph->id, 4);
  order.Decoded(*first, 0);
  order.Decoded(*photograph, 0);
  EXPECT_EQ(Turns(order), (std::vector<int64_t>{2, 3})) << "alone it may be above the limit";
}

TEST(DecodeOrder, PhotographsDoNotKeepAHugeOneWaitingForEver) {
  DecodeOrder order({.decoders = 3, .most_pixels = 120'000'000});
  order.Add({.id = 0, .arrival = 0, .pixels = 12 * kSmall});
  order.Add({.id = 1, .arrival = 0, .pixels = 2 * kLarge});
  // One photograph is always under way, and another one waits; small ones come and go.
  auto decoding = order.Take();
  for (int64_t id = 2; id < 1000; id += 2) {
    order.Add({.id = id, .arrival = static_cast<double>(id), .pixels = 12 * kSmall});
    order.Add({.id = id + 1, .arrival = static_cast<double>(id), .pixels = kSmall});
    const auto other = order.Take();
    ASSERT_TRUE(decoding && other);
    order.Decoded(*decoding, 0);
    if (decoding->id == 1 || other->id == 1) return;
    decoding = other;
  }
  FAIL() << "it never had its turn";
}

TEST(DecodeOrder, LongReadingsElsewhereCountAsLargePictures) {
  DecodeOrder order({.decoders = 3});
  order.Add({.id = 1, .arrival = 0, .pixels = kLarge});
  EXPECT_TRUE(order.LargeWaits());
  EXPECT_FALSE(order.Take(2).has_value())
      << "two readings and a large picture would take all three";
  order.Add({.id = 2, .arrival = 99, .pixels = kSmall});
  const auto small = order.Take(2);
  ASSERT_TRUE(small.has_value());
  EXPECT_EQ(small->id, 2) << "the decoder left free is for it";
  const auto large = order.Take(1);
  ASSERT_TRUE(large.has_value());
  EXPECT_EQ(large->id, 1);
  EXPECT_FALSE(order.LargeWaits());
}

TEST(DecodeOrder, NoMoreThanTheDecodersAtATimeAndOneServesAll) {
  DecodeOrder two({.decoders = 2}), one({.decoders = 1});
  for (int64_t id = 0; id < 3; ++id) {
    two.Add({.id = id, .pixels = kSmall});
    one.Add({.id = id, .pixels = kLarge});
  }
  EXPECT_TRUE(two.Take() && two.Take());
  EXPECT_FALSE(two.Take().has_value());
  EXPECT_EQ(Turns(one), (std::vector<int64_t>{0, 1, 2}));
}

TEST(DecodeOrder, NothingIsDecodedAheadAboveTheLimit) {
  DecodeOrder order({.ahead_bytes = 10});
  for (int64_t id = 0; id < 3; ++id) order.Add({.id = id, .pixels = kSmall});
  order.Decoded(*order.Take(), 9);
  order.Decoded(*order.Take(), 1000);  // one request may be larger than the limit
  EXPECT_FALSE(order.Take().has_value());
  order.Encoded(1000);
  EXPECT_EQ(order.Take()->id, 2);
}

TEST(DecodeOrder, WhatIsRemovedHasNoTurn) {
  DecodeOrder order({});
  for (int64_t id = 0; id < 3; ++id) order.Add({.id = id, .pixels = kSmall});
  order.Remove(1);
  order.Remove(7);
  EXPECT_EQ(Turns(order), (std::vector<int64_t>{0, 2}));
}

// Everybody has a turn, and nobody waits behind more than what came within a second for each of their own megapixels.
TEST(DecodeOrder, EverybodyHasATurn) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    DecodeOrder order({});
    std::vector<DecodeOrder::Entry> all;
    for (int64_t id = 0; id < 20; ++id) {
      all.push_back({.id = id,
                     .arrival = static_cast<double>(random() % 10),
                     .pixels = static_cast<int64_t>(random() % kLarge)});
      order.Add(all.back());
    }
    std::vector<int64_t> turns = Turns(order);
    ASSERT_EQ(turns.size(), all.size());
    for (size_t i = 0; i < turns.size(); ++i) {
      for (size_t j = i + 1; j < turns.size(); ++j) {
        const auto& before = all[static_cast<size_t>(turns[i])];
        const auto& after = all[static_cast<size_t>(turns[j])];
        EXPECT_LE(before.arrival - after.arrival, 1e-6 * static_cast<double>(kLarge));
      }
    }
  }
}

// What ended while it was read was dropped before it came to wait.
TEST(PreparationQueue, WhatIsOverDoesNotWaitToBeDecoded) {
  PreparationQueue queue(DecodeOrder::Limits{});
  int decoded = 0;
  const auto decode = [&](int64_t id, bool over) {
    queue.Drop(id);
    queue.Decode({.id = id, .pixels = kSmall},
                 {.over = [over] { return over; },
                  .decode = [&decoded] { return ++decoded; },
                  .then = [](std::unique_ptr<PreparationQueue::Ahead>) {}});
  };
  decode(1, true);
  decode(2, false);
  EXPECT_TRUE(queue.Work());
  queue.Close();
  EXPECT_FALSE(queue.Work());
  EXPECT_EQ(decoded, 1);
}

}  // namespace
}  // namespace binocle
