// How sure a mean, a ratio or a difference is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "binocle/eval_report.h"

namespace binocle::eval {

// One sample's part of a ratio of sums, Σ numerator / Σ denominator. With denominators of 1 that is a mean; with numerators that are
// differences of two runs on the same sample, a paired difference. Terms of several strata make a sum of such ratios, one of each (MME's
// categories).
struct Term {
  double numerator = 0;
  double denominator = 1;
  int64_t group = 0;  // samples of a group are drawn together
  int64_t stratum = 0;
};

// The ratio and its 95 % percentile interval: in each stratum as many groups as it has, drawn with replacement, `resamples` times; a draw
// without a denominator does not count. The same for the same terms and seed, on every machine. Nothing where the denominators of a
// stratum sum to 0.
std::optional<EvalInterval> Bootstrap(const std::vector<Term>& terms,
                                      const EvalResampling& resampling);
// Different groups.
int64_t GroupsOf(const std::vector<Term>& terms);

struct Discordance {
  double p = 1;
  bool exact = true;
};

// McNemar's test of `better` against `worse` pairs, two-sided. Up to 1,000 discordant pairs the exact binomial p = min(1, 2·P(X ≤ min)),
// X ~ B(better + worse, ½); beyond, χ² = (|better − worse| − 1)² / (better + worse) of one degree of freedom. On scores between 0
// and 1 it is the sign test.
Discordance McNemar(int64_t better, int64_t worse);

}  // namespace binocle::eval
