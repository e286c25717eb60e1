#include "vision/diffusion_noise.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"

namespace binocle {

float TorchNormal::Uniform() { return static_cast<float>(bits_() & 0xFFFFFFu) * 0x1p-24F; }

// Pairs lie eight apart.
void TorchNormal::BoxMuller(float* sixteen) const {
  for (int j = 0; j < 8; ++j) {
    const float u1 = 1 - sixteen[j];
    const float radius = std::sqrt(-2 * std::log(u1));
    const float angle = 2 * std::numbers::pi_v<float> * sixteen[j + 8];
    sixteen[j] = radius * std::cos(angle);
    sixteen[j + 8] = radius * std::sin(angle);
  }
}

void TorchNormal::Fill(std::span<float> out) {
  BINOCLE_CHECK(out.size() >= 16, "shorter rows of torch.randn come from another algorithm");
  for (float& u : out) u = Uniform();
  for (size_t i = 0; i + 16 <= out.size(); i += 16) BoxMuller(out.data() + i);
  if (out.size() % 16 == 0) return;
  float* tail = out.data() + out.size() - 16;  // overlaps what came before: drawn anew
  for (int j = 0; j < 16; ++j) tail[j] = Uniform();
  BoxMuller(tail);
}

double NoiseLevel(int64_t step) {
  BINOCLE_CHECK(step >= 0 && step < 1000, step);
  double level = 1;
  for (int64_t i = 0; i <= step; ++i) {
    const double x = -6 + 12 * static_cast<double>(i) / 999;
    level *= 1 - (1 / (1 + std::exp(-x)) * (0.5e-2 - 1e-5) + 1e-5);
  }
  return level;
}

void AddDiffusionNoise(TorchNormal& normal, int64_t step, std::span<float> pixels) {
  std::vector<float> noise(pixels.size());
  normal.Fill(noise);
  const double level = NoiseLevel(step);
  const auto kept = static_cast<float>(std::sqrt(level));
  const auto added = static_cast<float>(std::sqrt(1 - level));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = kept * pixels[i] + added * noise[i];
}

}  // namespace binocle
