// What products take beside their operands, beside what is said of it before.
#include <gtest/gtest.h>

#include "core/ops/linear.h"
#include "core/ops/swiglu.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

class Workspace : public ::testing::TestWithParam<WeightKind> {};
INSTANTIATE_TEST_SUITE_P(All, Workspace,
                         ::testing::Values(WeightKind::kF32, WeightKind::kBf16, WeightKind::kInt8,
                                           WeightKind::kInt4),
                         [](const auto& test) { return std::string(WeightKindName(test.param)); });

// Packing and products of few rows and of many, with SwiGLU.
TEST_P(Workspace, IsWhatWasSaidAndNotMuchLess) {
  constexpr int64_t kDepth = 1600, kColumns = 256, kThreads = 3;
  testing::Numbers numbers(7);
  Exec ex(kThreads);
  const Tensor stored = testing::RandomTensor({kColumns, kDepth}, numbers);
  const LinearWeights w = PackLinear(ex, {{.weight = stored, .bias = {}}}, GetParam());
  for (const int64_t rows : {1, 10, 200, 768}) {
    const Tensor x = testing::RandomTensor({rows, kDepth}, numbers);
    Tensor y = Tensor::F32({rows, kColumns}), gated = Tensor::F32({rows, kColumns / 2});
    Linear(ex, x, w, y);
    SwiGlu(ex, x, w, y, gated);
    const int64_t said = LinearWorkspaceBytes(rows, kDepth, GetParam()) +
                         kThreads * LinearThreadBytes(kDepth, GetParam());
    EXPECT_LE(ex.workspace_bytes(), said) << rows;
    // oneDNN's own is not counted, and threads have room for many rows.
    if (GetParam() == WeightKind::kF32 || rows < 768) continue;
    EXPECT_GE(ex.workspace_bytes(), 0.6 * said) << rows;
  }
}

}  // namespace
}  // namespace binocle
