#include "eval/run/shards.h"

#include <algorithm>
#include <queue>
#include <utility>

namespace binocle::eval {

std::vector<int32_t> AssignShards(const std::vector<int32_t>& groups, int64_t shards) {
  std::vector<int64_t> sizes;
  for (const int32_t group : groups) {
    if (static_cast<size_t>(group) >= sizes.size()) sizes.resize(static_cast<size_t>(group) + 1);
    ++sizes[static_cast<size_t>(group)];
  }
  using Load = std::pair<int64_t, int32_t>;  // samples, shard
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int32_t shard = 0; shard < shards; ++shard) loads.emplace(0, shard);
  std::vector<int32_t> shard_of;
  for (const int64_t size : sizes) {
    const auto [samples, shard] = loads.top();
    loads.pop();
    shard_of.push_back(shard);
    loads.emplace(samples + size, shard);
  }
  return shard_of;
}

}  // namespace binocle::eval
