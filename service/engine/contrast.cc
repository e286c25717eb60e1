#include "service/engine/contrast.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace binocle {
namespace {

double LogSumExp(std::span<const float> logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - max);
  return max + std::log(sum);
}

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

}  // namespace

void Guide(const GuidanceOptions& options, float best, std::span<const float> other,
           std::span<float> logits) {
  const double least = best + std::log(options.cut);  // ln 0 is −∞, which keeps all
  const double of_logits = LogSumExp(logits);
  const double of_other = LogSumExp(other);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double l = logits[i] - of_logits;
    const double u = other[i] - of_other;
    logits[i] = logits[i] < least ? kExcluded : static_cast<float>(u + options.gamma * (l - u));
  }
}

void Contrast(const VcdOptions& options, float best, std::span<const float> other,
              std::span<float> logits) {
  const double least = best + std::log(options.beta);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double out = (1 + options.alpha) * logits[i] - options.alpha * other[i];
    logits[i] = logits[i] < least ? kExcluded : static_cast<float>(out);
  }
}

}  // namespace binocle
