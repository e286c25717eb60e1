#include "vision/token_sets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace binocle {
namespace {

std::vector<float> SumOverHeads(const Tensor& weights) {
  std::vector<float> sum(static_cast<size_t>(weights.dim(1)));
  for (int64_t h = 0; h < weights.dim(0); ++h) {
    for (size_t j = 0; j < sum.size(); ++j) sum[j] += weights.row(h)[j];
  }
  return sum;
}

double Percentile(const std::vector<float>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] +
         (at - static_cast<double>(low)) * (static_cast<double>(sorted[high]) - sorted[low]);
}

}  // namespace

AttentionTap PatchAttentionTap(int64_t layers, int64_t run) {
  AttentionTap tap;
  if (run == 0) return tap;  // features are the embedding's: nothing attends
  const int64_t late = std::clamp<int64_t>(layers - 2, 0, run - 1);
  tap.layers.push_back({.index = 0, .received_wanted = true, .class_weights = {}, .received = {}});
  if (late != 0)
    tap.layers.push_back(
        {.index = late, .received_wanted = false, .class_weights = {}, .received = {}});
  return tap;
}

PatchAttention ReadPatchAttention(const AttentionTap& tap) {
  if (tap.layers.empty()) return {};
  const AttentionTap::Layer& first = tap.layers.front();
  return {.first_class = SumOverHeads(first.class_weights),
          .late_class = SumOverHeads(tap.layers.back().class_weights),
          .received = {first.received.row(0), first.received.row(0) + first.received.dim(1)}};
}

std::vector<int64_t> LargestPatches(std::span<const float> values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(std::clamp<int64_t>(count, 0, std::ssize(values))));
  std::sort(order.begin(), order.end());
  return order;
}

int64_t OutlierCount(std::span<const float> values) {
  if (values.empty()) return 0;
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double q1 = Percentile(sorted, 0.25);
  const double q3 = Percentile(sorted, 0.75);
  const double fence = q3 + 1.5 * (q3 - q1);
  return std::count_if(values.begin(), values.end(), [&](float v) { return v > fence; });
}

TokenSets SelectTokens(const PatchAttention& attention, double local, double spatial) {
  if (attention.patches() == 0) return {};
  const auto patches = static_cast<double>(attention.patches());
  const auto share = [&](double part) { return static_cast<int64_t>(part * patches); };
  // As published: the share of outliers of all patches, and then that share of them.
  const double outliers = static_cast<double>(OutlierCount(attention.late_class)) / patches;
  TokenSets sets{.boosted = {}, .summary = LargestPatches(attention.late_class, share(outliers))};
  const std::vector<int64_t> near = LargestPatches(attention.first_class, share(local));
  const std::vector<int64_t> seen = LargestPatches(attention.received, share(spatial));
  std::vector<int64_t> both;
  std::set_union(near.begin(), near.end(), seen.begin(), seen.end(), std::back_inserter(both));
  std::set_difference(both.begin(), both.end(), sets.summary.begin(), sets.summary.end(),
                      std::back_inserter(sets.boosted));
  return sets;
}

}  // namespace binocle
