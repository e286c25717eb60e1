// Making and comparing tensors in tests.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "core/exec.h"
#include "core/tensor.h"
#include "tests/testing/numbers.h"

namespace binocle::testing {

// Of a block type: random bits, but for scales of either sign from 2⁻¹⁰ to 2⁻⁷.
Tensor RandomBlocks(DType dtype, Shape shape, Numbers& numbers);

// Success when got is within the table's tolerance for (op, f32) of want everywhere; else the first difference:
// "features[17, 403]: got 0.731, want 0.742 (|Δ| = 1.1e-2 > 2e-5 × 0.9, f32 tower)".
::testing::AssertionResult Near(const TensorView& got, const TensorView& want, std::string_view op);
// Bit for bit.
::testing::AssertionResult SameBits(const TensorView& got, const TensorView& want);

}  // namespace binocle::testing
