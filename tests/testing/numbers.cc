#include "tests/testing/numbers.h"

#include <cmath>
#include <numbers>

namespace binocle::testing {

uint64_t Numbers::Bits() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

double Numbers::Uniform() { return static_cast<double>(Bits() >> 11) * 0x1p-53; }

float Numbers::Normal(float scale) {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * Uniform())) * scale;
}

int64_t Numbers::Int(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(Bits() % static_cast<uint64_t>(high - low + 1));
}

Tensor RandomTensor(Shape shape, Numbers& numbers, float scale) {
  Tensor tensor = Tensor::F32(shape);
  for (int64_t i = 0; i < shape.elements(); ++i) tensor.f32()[i] = numbers.Normal(scale);
  return tensor;
}

}  // namespace binocle::testing
