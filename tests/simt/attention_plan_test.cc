// From runs to tiles, on the host.
#include "attention/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"

namespace binocle {
namespace {

// Runs over pages 0, 1, 2, … of their own.
struct Runs {
  explicit Runs(const std::vector<std::pair<int64_t, int64_t>>& rows_and_keys) {
    int32_t page = 0;
    int64_t row = 0;
    for (const auto& [rows, keys] : rows_and_keys) {
      pages.emplace_back();
      for (int64_t p = 0; p < PagesFor(keys); ++p) pages.back().push_back(page++);
      runs.push_back({.first_row = row, .rows = rows, .first_position = keys - rows, .keys = keys});
      row += rows;
    }
    for (size_t r = 0; r < runs.size(); ++r) runs[r].pages = pages[r];
  }
  AttentionPlan Plan(int64_t heads, int64_t kv_heads,
                     std::span<const int64_t> shared_ends = {}) const {
    std::vector<QueryRun> all = runs;
    for (size_t r = 0; r < shared_ends.size(); ++r) all[r].shared_end = shared_ends[r];
    AttentionPlan plan;
    PlanAttention({.runs = all, .heads = heads, .kv_heads = kv_heads}, plan);
    return plan;
  }
  std::vector<std::vector<int32_t>> pages;
  std::vector<QueryRun> runs;
};

// Every (row, key) pair that a row sees, once: whatever tiles they are in.
void ExpectEveryPairOnce(const Runs& runs, const AttentionPlan& plan) {
  std::multiset<std::pair<int32_t, int32_t>> pairs;
  for (const TilePlan* part : {&plan.direct, &plan.parts}) {
    for (const cuda::AttentionTile& tile : part->tiles) {
      for (int32_t r = tile.first_row; r < tile.first_row + tile.rows; ++r) {
        const cuda::TileRow& row = part->rows[static_cast<size_t>(r)];
        EXPECT_GE(row.first_key, tile.first_key);
        EXPECT_LE(row.end_key, tile.end_key);
        for (int32_t key = row.first_key; key < row.end_key; ++key) pairs.insert({row.q_row, key});
      }
    }
  }
  size_t seen = 0;
  for (const QueryRun& run : runs.runs) {
    for (int64_t r = 0; r < run.rows; ++r) {
      for (int64_t key = 0; key <= run.first_position + r; ++key, ++seen)
        ASSERT_EQ(pairs.count({static_cast<int32_t>(run.first_row + r), static_cast<int32_t>(key)}),
                  1U)
            << r << ' ' << key;
    }
  }
  EXPECT_EQ(pairs.size(), seen);
}

TEST(AttentionPlan, EveryRowSeesEachOfItsKeysOnce) {
  const Runs runs({{1, 1}, {1, 600}, {3, 257}, {70, 200}, {16, 16}});
  ExpectEveryPairOnce(runs, runs.Plan(4, 2));
  ExpectEveryPairOnce(runs, runs.Plan(4, 2, std::vector<int64_t>{0, 100, 250, 64, 3}));
}

TEST(AttentionPlan, LongTilesOfARunComeFirst) {
  const Runs runs({{130, 130}});
  const AttentionPlan plan = runs.Plan(2, 2);
  ASSERT_EQ(plan.direct.tiles.size(), 3U);
  EXPECT_EQ(plan.direct.tiles[0].pages, 3);
  EXPECT_EQ(plan.direct.tiles[2].pages, 1);
  EXPECT_EQ(plan.part_rows, 0);
}

TEST(AttentionPlan, PartsBeginAnewWhereWhatIsSharedEnds) {
  const Runs runs({{1, 600}});
  const AttentionPlan plan = runs.Plan(16, 16, std::vector<int64_t>{400});
  std::set<int32_t> begins;
  for (const cuda::TileRow& row : plan.parts.rows) begins.insert(row.first_key);
  EXPECT_EQ(begins, (std::set<int32_t>{0, 256, 384}));
  ASSERT_EQ(plan.merges.size(), 1U);
  EXPECT_EQ(plan.merges[0].parts, 3);
  EXPECT_EQ(runs.Plan(16, 8).merges[0].parts, 5) << "128 keys where there are few heads";
  EXPECT_EQ(runs.Plan(8, 4).merges[0].parts, 10) << "64 where there are fewer";
}

// 70 sequences of one row: 64 fit into a tile where each head has its own keys, 32 where two share.
TEST(AttentionPlan, SharedPagesAreATileForAsManyRowsAsFit) {
  Runs runs(std::vector<std::pair<int64_t, int64_t>>(70, {1, 129}));
  for (size_t r = 0; r < runs.runs.size(); ++r) {
    runs.pages[r][0] = 0;
    runs.pages[r][1] = 1;
    runs.runs[r].pages = runs.pages[r];
  }
  const std::vector<int64_t> shared_ends(70, 128);
  const auto over_first_page = [](const AttentionPlan& plan) {
    return std::count_if(
        plan.parts.tiles.begin(), plan.parts.tiles.end(),
        [](const cuda::AttentionTile& tile) { return tile.rows > 0 && tile.first_key == 0; });
  };
  EXPECT_EQ(over_first_page(runs.Plan(2, 2, shared_ends)), 2);
  EXPECT_EQ(over_first_page(runs.Plan(4, 2, shared_ends)), 3);
}

TEST(AttentionPlan, MasksAreAskedForWhereSomeRowDoesNotSeeAll) {
  const Runs runs({{64, 200}});
  const AttentionPlan plan = runs.Plan(1, 1);
  ASSERT_EQ(plan.direct.tiles.size(), 1U);
  EXPECT_EQ(plan.direct.tiles[0].whole_from, 0);
  EXPECT_EQ(plan.direct.tiles[0].whole_to, 128) << "row 0 sees 137 keys";
}

TEST(AttentionPlan, PlainTilesAreALaunchOfTheirOwn) {
  Runs runs({{30, 70}, {30, 90}, {1, 300}, {1, 20}});
  const std::vector<uint8_t> classes(300, 0);
  const SegmentPolicy segments{.classes = classes};
  runs.runs[0].variant = SoftCap{1};
  runs.runs[2].segments = &segments;
  const AttentionPlan plan = runs.Plan(2, 2);
  ASSERT_EQ(plan.direct.plain_tiles, 1);
  EXPECT_EQ(plan.direct.tiles[0].policy, kPlainPolicy);
  EXPECT_EQ(plan.direct.tiles[1].policy, 1);
  EXPECT_EQ(plan.parts.plain_tiles, 1);
  ASSERT_EQ(plan.merges.size(), 2U);
  EXPECT_EQ(plan.content_merges_from, 1);
  EXPECT_EQ(plan.merges[1].out_row, 60);
}

// 32 sequences on one picture under VAR: one tile, while their classes are the same there; what they make of their own text is their own.
TEST(AttentionPlan, SharedPagesAreATileUnderPoliciesThatAreEqualThere) {
  Runs runs(std::vector<std::pair<int64_t, int64_t>>(32, {1, 129}));
  std::vector<std::vector<uint8_t>> classes(32, std::vector<uint8_t>(129, kVisualKey));
  std::vector<SegmentPolicy> policies(32);
  const std::vector<float> gain(129, 0.5F), other_gain(129, 0.25F);
  for (size_t r = 0; r < 32; ++r) {
    runs.pages[r][0] = 0;
    runs.pages[r][1] = 1;
    runs.runs[r].pages = runs.pages[r];
    classes[r][128] = static_cast<uint8_t>(r % 4);
    policies[r].classes = classes[r];
    runs.runs[r].segments = &policies[r];
  }
  const auto shared_tiles = [&] {
    const AttentionPlan plan = runs.Plan(16, 16, std::vector<int64_t>(32, 128));
    EXPECT_EQ(plan.parts.plain_tiles, 0);
    return std::count_if(
        plan.parts.tiles.begin(), plan.parts.tiles.end(),
        [](const cuda::AttentionTile& tile) { return tile.rows > 0 && tile.first_key == 0; });
  };
  EXPECT_EQ(shared_tiles(), 1);
  classes[5][40] = kVisualKey | kSinkKey;
  EXPECT_EQ(shared_tiles(), 2) << "another sink";
  runs.runs[6].segments = nullptr;
  runs.runs[6].variant = SoftCap{1};
  EXPECT_EQ(shared_tiles(), 3);
  for (const size_t r : {7, 8, 9}) {
    runs.runs[r].segments = nullptr;
    runs.runs[r].variant = KeyGain{r == 9 ? other_gain : gain, {}};
  }
  EXPECT_EQ(shared_tiles(), 5) << "two gains";
  const std::vector<float> factors(16, 1), other_factors(16, -1);
  runs.runs[7].variant = KeyGain{gain, factors};
  EXPECT_EQ(shared_tiles(), 6) << "a gain by head as well";
  runs.runs[8].variant = KeyGain{gain, other_factors};
  EXPECT_EQ(shared_tiles(), 6) << "another one";
  runs.runs[8].variant = KeyGain{gain, factors};
  EXPECT_EQ(shared_tiles(), 5);
}

// Classes that the device alone knows are the same where the sequences were one.
TEST(AttentionPlan, SharedPagesAreATileWhereClassesAreOfOneOrigin) {
  Runs runs({{1, 129}, {1, 129}, {1, 129}});
  const DeviceSegments first{.origin = 1}, again{.origin = 1}, other{.origin = 2};
  const SegmentPolicy policies[] = {
      {.on_device = &first}, {.on_device = &again}, {.on_device = &other}};
  for (size_t r = 0; r < 3; ++r) {
    runs.pages[r][0] = 0;
    runs.pages[r][1] = 1;
    runs.runs[r].pages = runs.pages[r];
    runs.runs[r].segments = &policies[r];
  }
  const AttentionPlan plan = runs.Plan(16, 16, std::vector<int64_t>(3, 128));
  std::vector<int32_t> rows;
  for (const cuda::AttentionTile& tile : plan.parts.tiles)
    if (tile.first_key == 0) rows.push_back(tile.rows);
  EXPECT_EQ(rows, (std::vector<int32_t>{2, 1}));
}

// A step later one sequence has a part more: the launches are the same.
TEST(AttentionPlan, LongListsAreFilledUpWithWhatDoesNothing) {
  const std::vector<std::pair<int64_t, int64_t>> before(20, {1, 320});
  std::vector<std::pair<int64_t, int64_t>> after = before;
  after[3] = {1, 321};
  const AttentionPlan a = Runs(before).Plan(4, 4), b = Runs(after).Plan(4, 4);
  EXPECT_EQ(a.parts.tiles.size(), 128U) << "100 parts";
  EXPECT_EQ(b.parts.tiles.size(), 128U) << "101 parts";
  EXPECT_EQ(a.parts.plain_tiles, 128);
  EXPECT_EQ(std::ranges::count(b.parts.tiles, 0, &cuda::AttentionTile::rows), 27);
  EXPECT_EQ(a.merges.size(), 20U);
  const AttentionPlan many = Runs(std::vector<std::pair<int64_t, int64_t>>(40, {1, 9})).Plan(4, 4);
  EXPECT_EQ(many.merges.size(), 64U);
  EXPECT_EQ(std::ranges::count(many.merges, 0, &cuda::RowParts::parts), 24);
}

TEST(AttentionPlan, MoreHeadsOfAKeyThanATileHasRowsAreRefused) {
  const Runs runs({{1, 1}});
  EXPECT_THROW(runs.Plan(65, 1), Error);
}

}  // namespace
}  // namespace binocle
