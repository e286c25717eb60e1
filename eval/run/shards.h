// Which part of a run each sample is in.
#pragma once

#include <cstdint>
#include <vector>

namespace binocle::eval {

// `groups[i]` is the group of sample i, numbered in the order in which groups first appear. Returns the shard of each group, 0 … shards
// − 1. One group after the other goes to the shard with the fewest samples, of equals to the first: shards differ by at most the
// largest group. The same arguments give the same shards everywhere.
std::vector<int32_t> AssignShards(const std::vector<int32_t>& groups, int64_t shards);

}  // namespace binocle::eval
