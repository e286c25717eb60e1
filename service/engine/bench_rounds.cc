#include "service/engine/bench_rounds.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace binocle {
namespace {

constexpr double kMostRepeats = 10000;

double Seconds(const Contender& contender, int64_t repeats) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < repeats; ++i) contender.run();
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return passed.count() / static_cast<double>(repeats);
}

// The q-th quantile of sorted values, between neighbours where it falls there.
double Quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<std::vector<double>> TimeInTurn(const std::vector<Contender>& contenders,
                                            int64_t rounds, double least_seconds,
                                            const std::function<void()>& before_round) {
  std::vector<int64_t> repeats;
  for (const Contender& c : contenders) {
    c.run();
    const double once = least_seconds > 0 ? Seconds(c, 1) : 1;
    const double wanted = std::ceil(least_seconds / std::max(once, 1e-9));
    repeats.push_back(static_cast<int64_t>(std::clamp(wanted, 1.0, kMostRepeats)));
  }
  std::vector<std::vector<double>> seconds(contenders.size());
  for (int64_t round = 0; round < rounds; ++round) {
    if (before_round) before_round();
    for (size_t i = 0; i < contenders.size(); ++i) {
      const size_t at = (i + static_cast<size_t>(round)) % contenders.size();
      seconds[at].push_back(Seconds(contenders[at], repeats[at]));
    }
  }
  return seconds;
}

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {.lower = Quantile(values, 0.25),
          .median = Quantile(values, 0.5),
          .upper = Quantile(values, 0.75)};
}

Spread SpreadOfRatio(const std::vector<double>& values, const std::vector<double>& by,
                     double factor) {
  std::vector<double> ratios;
  for (size_t i = 0; i < values.size(); ++i) ratios.push_back(values[i] * factor / by[i]);
  return SpreadOf(std::move(ratios));
}

Spread Scaled(const Spread& s, double factor) {
  return {.lower = s.lower * factor, .median = s.median * factor, .upper = s.upper * factor};
}

}  // namespace binocle
