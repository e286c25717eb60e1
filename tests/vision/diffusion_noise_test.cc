#include "vision/diffusion_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace binocle {
namespace {

// torch 2.15: torch.manual_seed(7); torch.randn(3, 5, 7), torch.randn(3, 8, 8)
TEST(TorchNormal, GivesWhatTorchGivesForTheSameSeed) {
  TorchNormal normal(7);
  std::vector<float> odd(105), even(192);
  normal.Fill(odd);
  normal.Fill(even);
  const auto expect = [](const std::vector<float>& got,
                         std::vector<std::pair<size_t, float>> want) {
    for (const auto& [i, value] : want) EXPECT_NEAR(got[i], value, 1e-6) << i;
  };
  expect(odd, {{0, -0.8201345F},
               {1, 0.3956312F},
               {2, 0.8989085F},
               {3, -1.388404F},
               {101, 1.613234F},
               {102, 0.9331648F},
               {103, -0.9771601F},
               {104, -0.8159711F}});
  expect(even, {{0, -0.2675303F}, {1, 0.6793805F}, {8, -0.7872509F}, {191, 0.6757412F}});
}

// torch: cumprod(1 - (sigmoid(linspace(-6, 6, 1000))*(0.5e-2 - 1e-5) + 1e-5))
TEST(NoiseLevel, IsThePublishedSchedule) {
  EXPECT_NEAR(NoiseLevel(0), 0.9999776482582092, 1e-7);
  EXPECT_NEAR(NoiseLevel(500), 0.7447987198829651, 1e-5);
  EXPECT_NEAR(NoiseLevel(999), 0.08124923706054688, 1e-5);
}

TEST(AddDiffusionNoise, KeepsTheVarianceOfUnitPixels) {
  TorchNormal pixels_from(1), noise_from(2);
  std::vector<float> pixels(40000);
  pixels_from.Fill(pixels);
  const std::vector<float> before = pixels;
  AddDiffusionNoise(noise_from, 700, pixels);
  double squares = 0, product = 0;
  for (size_t i = 0; i < pixels.size(); ++i) {
    squares += static_cast<double>(pixels[i]) * pixels[i];
    product += static_cast<double>(pixels[i]) * before[i];
  }
  EXPECT_NEAR(squares / 40000, 1, 0.03);
  EXPECT_NEAR(product / 40000, std::sqrt(NoiseLevel(700)), 0.03);
}

}  // namespace
}  // namespace binocle
