// Diffusion noise on normalised pixels, as visual contrastive decoding adds it.
//
//   v' = sqrt(ā_t)·v + sqrt(1 − ā_t)·ε        ā = cumprod(1 − β), β = sigmoid(linspace(−6, 6, 1000))·(0.005 − 1e-5) + 1e-5
//
// Reference: DAMO-NLP-SG/VCD vcd_add_noise.py; ε: torch.randn on a CPU.
#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace binocle {

// Normal numbers: those of torch.manual_seed(seed) followed by torch.randn on a CPU, to the rounding of log, sin and cos.
class TorchNormal {
 public:
  explicit TorchNormal(uint64_t seed) : bits_(static_cast<uint32_t>(seed)) {}
  // One call of torch.randn with out.size() numbers, at least 16.
  void Fill(std::span<float> out);

 private:
  void BoxMuller(float* sixteen) const;
  float Uniform();  // [0, 1), 24 bits

  std::mt19937 bits_;
};

// ā_t, 0 ≤ t ≤ 999.
double NoiseLevel(int64_t step);

// pixels ← sqrt(ā_t)·pixels + sqrt(1 − ā_t)·ε
void AddDiffusionNoise(TorchNormal& normal, int64_t step, std::span<float> pixels);

}  // namespace binocle
