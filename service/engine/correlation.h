// How two series of numbers go together, −1 … 1.
#pragma once

#include <optional>
#include <span>

namespace binocle {

// Pearson's r. Absent where one series is constant or there are fewer than two numbers.
std::optional<double> Pearson(std::span<const double> a, std::span<const double> b);

// Spearman's rho: Pearson's r of the ranks; equal numbers share the mean of their ranks.
std::optional<double> Spearman(std::span<const double> a, std::span<const double> b);

}  // namespace binocle
