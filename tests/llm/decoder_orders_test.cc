// What rank 0 says, and what another rank makes of words that are not it.
#include "llm/decoder_orders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <vector>

#include "binocle/error.h"
#include "llm/decoder_follower.h"
#include "llm/decoder_leader.h"
#include "tests/llm/rank_with_orders.h"
#include "tests/testing/errors.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using Bytes = std::vector<std::byte>;
using testing::RankWithOrders;
using testing::Recording;

constexpr int64_t kPagesSaid = testing::kPagesOfRank;

// Every kind of order, as broadcasts: an image that is encoded and placed, a prompt of text and visual rows, a page that is copied, the end.
std::deque<Bytes> WhatRankZeroSays() {
  RankWithOrders m(0);
  {
    DecoderLeader leader(m.communicator, kPagesSaid, {});
    m.communicator.said.clear();  // the terms
    m.decoder->Lead(&leader);
    ImageKv image;
    const Tensor visual = Tensor::F32({5, m.config.width});
    m.decoder->EncodeImage(m.ex, {.visual = visual}, {}, *m.activations, image);
    KvSequence sequence(m.pool);
    sequence.Extend(9);
    m.decoder->PlaceImage(m.ex, image, 2, m.pool, sequence);
    std::vector<int32_t> positions = {0, 1, 7, 8, 2, 3}, slots;
    for (const int32_t p : positions) slots.push_back(sequence.Slot(p));
    const auto run = [&](int64_t row, int64_t rows, int64_t position) {
      return QueryRun{.first_row = row,
                      .rows = rows,
                      .first_position = position,
                      .keys = position + rows,
                      .pages = sequence.pages()};
    };
    const std::vector<QueryRun> runs = {run(0, 2, 0), run(2, 2, 7), run(4, 2, 2)};
    const std::span<const QueryRun> all(runs);
    m.decoder->Forward(m.ex,
                       {.text_rows = 4,
                        .positions = positions,
                        .slots = slots,
                        .text_runs = all.first(2),
                        .visual_runs = all.subspan(2),
                        .runs = all,
                        .plan = &m.decoder->plan()},
                       m.pool, *m.activations);
    leader.CopyPage(0, 1, 9);
  }
  return m.communicator.said;
}

std::string WhatComesOf(RankWithOrders& m, const std::deque<Bytes>& said) {
  m.pool = KvPool(m.config.layers, m.config.kv_heads, m.config.head_dim, kPagesSaid);
  m.communicator.said = said;
  try {
    FollowDecoder({m.ex, *m.decoder, m.pool, *m.activations});
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(DecoderOrders, AreDone) {
  RankWithOrders follower(1);
  EXPECT_EQ(WhatComesOf(follower, WhatRankZeroSays()), "");
}

// Any four bytes of any order, made small, large and negative: it is done, or refused, and nothing is touched that is not there.
TEST(DecoderOrders, WordsThatAreNoneAreRefused) {
  const std::deque<Bytes> said = WhatRankZeroSays();
  RankWithOrders follower(1);
  int64_t refused = 0, done = 0;
  for (size_t i = 0; i < said.size(); ++i) {
    if (said[i].size() % sizeof(float) != 0) continue;
    const bool order = i > 0 && said[i - 1].size() == sizeof(int64_t);
    if (!order) continue;  // rows of numbers, or a length
    for (size_t at = 0; at + sizeof(int32_t) <= said[i].size(); at += sizeof(int32_t)) {
      for (const int32_t value : {-1, 0, 1, 3, 300, INT32_MAX, INT32_MIN}) {
        std::deque<Bytes> other = said;
        std::memcpy(other[i].data() + at, &value, sizeof value);
        const std::string words = WhatComesOf(follower, other);
        (words.empty() ? done : refused) += 1;
        EXPECT_TRUE(words.empty() || words.starts_with("INTERNAL: tensor_parallel: ") ||
                    words.starts_with("UNAVAILABLE: "))
            << words;
      }
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(done, 50);
}

TEST(DecoderOrders, APassThatFailsEndsIt) {
  Recording communicator(0);
  DecoderLeader leader(communicator, kPagesSaid, {});
  const std::string words =
      testing::ErrorOf([&] { leader.Forward({}, [] { Throw(Code::kInternal, "a fault"); }); });
  EXPECT_EQ(words, "INTERNAL: a fault");
  EXPECT_EQ(communicator.over(), "tensor_parallel: a pass of rank 0 failed: INTERNAL: a fault");
}

TEST(DecoderOrders, OfAnotherNumberOfTermsAreRefused) {
  Recording zero(0), one(1);
  { const DecoderLeader leader(zero, kPagesSaid, {{{"a", 1}, {"b", 2}}}); }
  one.said = zero.said;
  EXPECT_THAT(testing::ErrorOf([&] {
                AwaitTerms(one, {{{"a", 1}}});
              }),
              ::testing::HasSubstr("2 as the number of terms, expected 1 to 1"));
}

}  // namespace
}  // namespace binocle
