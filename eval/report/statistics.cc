#include "eval/report/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"

namespace binocle::eval {
namespace {

constexpr double kLevel = 0.95;
constexpr int64_t kMostExact = 1000;

// SplitMix64: the standard's distributions differ from library to library.
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  // 0 … below − 1, below < 2³².
  size_t Below(size_t below) {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return static_cast<size_t>(((z >> 32) * below) >> 32);
  }

 private:
  uint64_t state_;
};

struct Sums {
  double numerator = 0;
  double denominator = 0;
};

// The groups of one stratum, in the order of their first terms.
struct Stratum {
  std::vector<Sums> groups;
  std::map<int64_t, size_t> places;
};

std::vector<Stratum> StrataOf(const std::vector<Term>& terms) {
  std::map<int64_t, size_t> places;
  std::vector<Stratum> strata;
  for (const Term& term : terms) {
    const auto [at, is_new] = places.try_emplace(term.stratum, strata.size());
    if (is_new) strata.emplace_back();
    Stratum& stratum = strata[at->second];
    const auto [group, is_first] = stratum.places.try_emplace(term.group, stratum.groups.size());
    if (is_first) stratum.groups.emplace_back();
    stratum.groups[group->second].numerator += term.numerator;
    stratum.groups[group->second].denominator += term.denominator;
  }
  return strata;
}

// Σ over strata of the ratio over groups, of which pick(k, count) gives the k-th of as many as there are; nothing where one has no
// denominator.
template <typename Pick>
std::optional<double> SumOfRatios(const std::vector<Stratum>& strata, const Pick& pick) {
  double ratios = 0;
  for (const Stratum& stratum : strata) {
    Sums sums;
    for (size_t k = 0; k < stratum.groups.size(); ++k) {
      const Sums& group = stratum.groups[pick(k, stratum.groups.size())];
      sums.numerator += group.numerator;
      sums.denominator += group.denominator;
    }
    if (sums.denominator == 0) return std::nullopt;
    ratios += sums.numerator / sums.denominator;
  }
  return strata.empty() ? std::nullopt : std::optional(ratios);
}

// Between the two nearest, as in numpy's default. `sorted` is not empty.
double Quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

// ln of n over k
double LogBinomial(int64_t n, int64_t k) {
  const auto log_factorial = [](int64_t m) { return std::lgamma(static_cast<double>(m) + 1); };
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

}  // namespace

std::optional<EvalInterval> Bootstrap(const std::vector<Term>& terms,
                                      const EvalResampling& resampling) {
  CheckOption("resamples", resampling.resamples, 1000, 1000000);
  const std::vector<Stratum> strata = StrataOf(terms);
  const auto value = SumOfRatios(strata, [](size_t k, size_t) { return k; });
  if (!value) return std::nullopt;
  Draws draws(resampling.seed);
  std::vector<double> ratios;
  for (int64_t i = 0; i < resampling.resamples; ++i) {
    const auto drawn =
        SumOfRatios(strata, [&](size_t, size_t count) { return draws.Below(count); });
    if (drawn) ratios.push_back(*drawn);
  }
  if (ratios.empty()) return EvalInterval{*value, *value, *value};
  std::sort(ratios.begin(), ratios.end());
  return EvalInterval{*value, Quantile(ratios, (1 - kLevel) / 2),
                      Quantile(ratios, (1 + kLevel) / 2)};
}

int64_t GroupsOf(const std::vector<Term>& terms) {
  std::set<int64_t> groups;
  for (const Term& term : terms) groups.insert(term.group);
  return std::ssize(groups);
}

Discordance McNemar(int64_t better, int64_t worse) {
  const int64_t n = better + worse;
  if (n == 0) return {};
  if (n > kMostExact) {
    const double gap = std::max(0.0, std::abs(static_cast<double>(better - worse)) - 1);
    return {.p = std::erfc(gap / std::sqrt(2.0 * static_cast<double>(n))), .exact = false};
  }
  double tail = 0;
  for (int64_t k = 0; k <= std::min(better, worse); ++k)
    tail += std::exp(LogBinomial(n, k) - static_cast<double>(n) * std::log(2.0));
  return {.p = std::min(1.0, 2 * tail), .exact = true};
}

}  // namespace binocle::eval
