// Contenders that take turns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "binocle/bench.h"

namespace binocle {

struct Contender {
  std::string name;
  std::function<void()> run;
};

// seconds[contender][round] of one run. Every contender is run once before the first round. In a round each is run as often as takes
// `least_seconds`, and the one that begins changes from round to round. `before_round`, where given, is called before each.
std::vector<std::vector<double>> TimeInTurn(const std::vector<Contender>& contenders,
                                            int64_t rounds, double least_seconds,
                                            const std::function<void()>& before_round = {});

Spread SpreadOf(std::vector<double> values);
// Of values[i] · factor / by[i].
Spread SpreadOfRatio(const std::vector<double>& values, const std::vector<double>& by,
                     double factor = 1);
Spread Scaled(const Spread& spread, double factor);

}  // namespace binocle
