// Elementwise nonlinearities, f32.
//
//   Gelu(x)      = x/2 · (1 + erf(x/√2))                    absolute error of erf ≤ 2e-7 (Abramowitz & Stegun 7.1.26, in f32)
//   GeluTanh(x)  = x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))   SigLIP's
//   QuickGelu(x) = x · σ(1.702·x)                           the one CLIP was trained with
//   SiluMul      : out = SiLU(g) ⊙ u,  [g | u] = gate_up    SiLU(g) = g · σ(g)
//
// Reference: activation_ref.cc; torch gelu (erf form and tanh form), transformers QuickGELUActivation, silu.
#pragma once

#include "core/exec.h"
#include "core/tensor.h"

namespace binocle {

enum class Activation : uint8_t { kGelu, kGeluTanh, kQuickGelu };

// x [T, D] contiguous rows, in place.
void Activate(Exec& ex, Activation activation, const TensorView& x);

// gate_up [T, 2F], out [T, F] f32, on a GPU also bf16; out does not alias gate_up.
void SiluMul(Exec& ex, const TensorView& gate_up, const TensorView& out);

}  // namespace binocle
