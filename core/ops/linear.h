// y = x·Wᵀ + b
//
//   x [T, K] f32, rows may be strided    W [N, K], packed    b [N] or absent    y [T, N] f32, rows may be strided; not aliasing x
//
// The order of summation is part of the contract. k is cut into blocks of kDepthBlock; inside a block each output element is one
// chain of fused multiply-adds in ascending k starting at zero; blocks are added in order, then the bias. So an output row depends
// on its own input row alone: not on T, not on the other rows, not on the number of threads. (On processors without FMA the
// product rounds before it is added.) Reference: linear_ref.cc; torch.nn.Linear up to rounding.
//
//   LinearWeights w = PackLinear(ex, {{.weight = q, .bias = {}}, {.weight = k, .bias = {}}});   // rows stacked: [Nq + Nk, K]
//   Linear(ex, x, w, y);
#pragma once

#include <vector>

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

inline constexpr int64_t kPanelWidth = 64;  // output features per panel
// k per block. Rounding errors of a chain grow with the square root of its length: 128 halves what 512 gives, and is still long
// enough for oneDNN, which keeps one chain up to 512.
inline constexpr int64_t kDepthBlock = 128;

// Weights packed once at load: [K / kDepthBlock] blocks of [N / kPanelWidth] panels of [block depth rounded up to 16][kPanelWidth],
// zero-padded. One copy serves our own kernel and oneDNN (whose name for a block is BA16a64b).
struct LinearWeights {
  Tensor packed;
  Tensor bias;  // [N], empty when absent
  int64_t n = 0;
  int64_t k = 0;

  int64_t panels() const { return (n + kPanelWidth - 1) / kPanelWidth; }
  int64_t parameters() const { return n * k + bias.view().elements(); }
  int64_t bytes() const { return packed.bytes() + bias.bytes(); }
  // Start of the block that covers k in [k0, …), first panel.
  const float* block(int64_t k0) const { return packed.f32() + k0 * panels() * kPanelWidth; }
};

// A stored matrix [N, K] (f32, f16 or bf16) and its bias [N], which may be absent.
struct StoredLinear {
  TensorView weight;
  TensorView bias;
};

// Stacks the rows of `parts`, which share K and whether they have a bias, into one packed matrix.
LinearWeights PackLinear(Exec& ex, const std::vector<StoredLinear>& parts);

// Bytes that PackLinear will take for an [n, k] matrix with bias.
int64_t PackedLinearBytes(int64_t n, int64_t k);

void Linear(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y);
// y += x·Wᵀ + b. The additions happen in the order ((y + block₀) + block₁) + … + b.
void LinearAdd(Exec& ex, const TensorView& x, const LinearWeights& w, const TensorView& y);

}  // namespace binocle
