// Whether the answer depends on what its maps show: parts of a picture are covered, and the same answer is scored again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "binocle/explain.h"
#include "service/engine/engine_access.h"
#include "service/engine/occluder.h"

namespace binocle {

// A map, and the tokens of the answer [first_token, end_token) that it belongs to.
struct MapOfTokens {
  const AttentionMap* map = nullptr;
  int64_t first_token = 0, end_token = 0;
};

struct MeasuredMaps {
  int64_t block = 0;                               // side, in patches
  std::vector<std::vector<Faithfulness>> of_maps;  // [maps][pictures]
};

// Measures the faithfulness of `maps`; the first is the answer's and gets curves in any case. Empty when the observer does not want to
// go on.
MeasuredMaps MeasureFaithfulness(const EngineAccess& engine, const Request& request,
                                 const FaithfulnessOptions& options, const Observer& observer,
                                 std::span<const int32_t> answer,
                                 std::span<const MapOfTokens> maps);

// Scores with some blocks covered: one log-probability per token.
using BlockScores = std::function<std::vector<double>(std::span<const int64_t>)>;

// The mean probability of tokens [first, end) along an order of blocks, covered in `points` steps.
struct CurveRange {
  int64_t points = 0;
  int64_t first_token = 0, end_token = 0;
};
DeletionCurve DeletionCurveOf(const BlockScores& scores, std::span<const int64_t> order,
                              const CurveRange& range);

// Indices of `values` in descending order, of equal ones the lower first.
std::vector<int64_t> DescendingOrder(std::span<const double> values);
// A random order of [0, count), the same on every platform.
std::vector<int64_t> RandomOrder(int64_t count, uint64_t seed);

}  // namespace binocle
