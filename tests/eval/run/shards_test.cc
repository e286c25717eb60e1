// Shards: every sample in one, pictures whole, sizes even.
#include "eval/run/shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace binocle::eval {
namespace {

// Groups of random sizes in a random order, numbered as they appear.
std::vector<int32_t> RandomGroups(std::minstd_rand& random, int samples) {
  std::vector<int32_t> drawn, groups;
  for (int i = 0; i < samples; ++i) drawn.push_back(static_cast<int32_t>(random() % 60));
  std::vector<int32_t> number(60, -1);
  int32_t next = 0;
  for (const int32_t group : drawn) {
    int32_t& n = number[static_cast<size_t>(group)];
    if (n < 0) n = next++;
    groups.push_back(n);
  }
  return groups;
}

TEST(AssignShards, IsAPartitionOfWholeGroupsOfNearlyTheSameSize) {
  std::minstd_rand random(1);
  for (int round = 0; round < 200; ++round) {
    const std::vector<int32_t> groups = RandomGroups(random, 1 + static_cast<int>(random() % 400));
    const int64_t shards = 1 + static_cast<int64_t>(random() % 9);
    const std::vector<int32_t> shard_of = AssignShards(groups, shards);
    ASSERT_EQ(std::ssize(shard_of), 1 + *std::max_element(groups.begin(), groups.end()));
    std::vector<int64_t> sizes(static_cast<size_t>(shards)), group_sizes(shard_of.size());
    for (const int32_t group : groups) {
      const int32_t shard = shard_of[static_cast<size_t>(group)];
      ASSERT_TRUE(shard >= 0 && shard < shards);
      ++sizes[static_cast<size_t>(shard)];
      ++group_sizes[static_cast<size_t>(group)];
    }
    const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
    ASSERT_LE(*most - *least, *std::max_element(group_sizes.begin(), group_sizes.end()));
  }
}

TEST(AssignShards, GivesTheSameShardsEveryTime) {
  EXPECT_EQ(AssignShards({0, 0, 1, 2, 3, 3}, 3), (std::vector<int32_t>{0, 1, 2, 1}));
}

TEST(AssignShards, LeavesShardsEmptyWhereThereAreMoreThanGroups) {
  EXPECT_EQ(AssignShards({0, 0, 0}, 4), (std::vector<int32_t>{0}));
}

}  // namespace
}  // namespace binocle::eval
