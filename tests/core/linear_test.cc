#include "core/ops/linear.h"

#include <gtest/gtest.h>

#include "core/ops/linear_ref.h"
#include "tests/testing/tensors.h"

namespace binocle {
namespace {

using testing::Numbers;
using testing::RandomTensor;
using testing::SameBits;

struct Dimensions {
  int64_t rows, n, k;
};

class LinearShapes : public ::testing::TestWithParam<Dimensions> {};

// One, primes, edges of panels (64), depth blocks (512), planned row counts (32, 128), and their neighbours.
INSTANTIATE_TEST_SUITE_P(Awkward, LinearShapes,
                         ::testing::Values(Dimensions{1, 1, 1}, Dimensions{1, 64, 512},
                                           Dimensions{2, 63, 511}, Dimensions{3, 65, 513},
                                           Dimensions{5, 7, 3}, Dimensions{6, 128, 64},
                                           Dimensions{7, 191, 1025}, Dimensions{31, 17, 31},
                                           Dimensions{32, 80, 40}, Dimensions{33, 200, 1537},
                                           Dimensions{127, 70, 96}, Dimensions{128, 192, 768},
                                           Dimensions{161, 331, 560}, Dimensions{300, 24, 24}));

TEST_P(LinearShapes, EqualsTheScalarDefinitionBitForBit) {
  const auto [rows, n, k] = GetParam();
  Numbers numbers(static_cast<uint64_t>(rows * 1000 + n));
  const Tensor x = RandomTensor({rows, k}, numbers);
  const Tensor weight = RandomTensor({n, k}, numbers);
  const Tensor bias = RandomTensor({n}, numbers);
  Exec ex(2);
  const LinearWeights packed = PackLinear(ex, {{.weight = weight, .bias = bias}});
  Tensor got = Tensor::F32({rows, n}, "y");
  Tensor want = Tensor::F32({rows, n}, "y");
  Linear(ex, x, packed, got);
  LinearRef(x, weight, bias, want);
  EXPECT_TRUE(SameBits(got, want));
}

TEST_P(LinearShapes, AddsToWhatIsThereBitForBit) {
  const auto [rows, n, k] = GetParam();
  Numbers numbers(7);
  const Tensor x = RandomTensor({rows, k}, numbers);
  const Tensor weight = RandomTensor({n, k}, numbers);
  const Tensor bias = RandomTensor({n}, numbers);
  Exec ex(2);
  const LinearWeights packed = PackLinear(ex, {{.weight = weight, .bias = bias}});
  Tensor got = RandomTensor({rows, n}, numbers);
  const Tensor want = got.Clone();
  LinearAdd(ex, x, packed, got);
  LinearAddRef(x, weight, bias, want);
  EXPECT_TRUE(SameBits(got, want));
}

TEST(Linear, ARowDoesNotDependOnTheOthersNorOnThreads) {
  Numbers numbers(3);
  const Tensor x = RandomTensor({150, 1100}, numbers);
  const Tensor weight = RandomTensor({330, 1100}, numbers);
  Exec one(1), two(2), three(3);
  const LinearWeights packed = PackLinear(two, {{.weight = weight, .bias = {}}});
  Tensor all = Tensor::F32({150, 330}, "y");
  Linear(one, x, packed, all);
  for (Exec* ex : {&two, &three}) {
    Tensor again = Tensor::F32({150, 330}, "y");
    Linear(*ex, x, packed, again);
    EXPECT_TRUE(SameBits(again, all));
  }
  for (const int64_t row : {0, 17, 127, 128, 149}) {
    Tensor single = Tensor::F32({1, 330}, "y");
    Linear(two, x.view().Rows(row, row + 1), packed, single);
    EXPECT_TRUE(SameBits(single, all.view().Rows(row, row + 1))) << "row " << row;
  }
}

TEST(Linear, StackedPartsGiveTheirRowsSideBySide) {
  Numbers numbers(4);
  const Tensor x = RandomTensor({9, 50}, numbers);
  const Tensor a = RandomTensor({70, 50}, numbers);
  const Tensor b = RandomTensor({3, 50}, numbers);
  Exec ex(2);
  Tensor together = Tensor::F32({9, 73}, "y");
  Linear(ex, x, PackLinear(ex, {{.weight = a, .bias = {}}, {.weight = b, .bias = {}}}), together);
  Tensor only_b = Tensor::F32({9, 3}, "b");
  Linear(ex, x, PackLinear(ex, {{.weight = b, .bias = {}}}), only_b);
  EXPECT_TRUE(SameBits(together.view().Columns(70, 73), only_b));
}

TEST(Linear, RowsOfInputAndOutputMayBeStrided) {
  Numbers numbers(5);
  const Tensor wide = RandomTensor({40, 100}, numbers);
  const Tensor weight = RandomTensor({65, 30}, numbers);
  Exec ex(2);
  const LinearWeights packed = PackLinear(ex, {{.weight = weight, .bias = {}}});
  Tensor dense_x = Tensor::F32({40, 30});
  for (int64_t r = 0; r < 40; ++r) std::copy(wide.row(r) + 20, wide.row(r) + 50, dense_x.row(r));
  Tensor want = Tensor::F32({40, 65}, "y");
  Linear(ex, dense_x, packed, want);
  Tensor out = Tensor::F32({40, 200}, "y");
  Linear(ex, wide.view().Columns(20, 50), packed, out.view().Columns(100, 165));
  EXPECT_TRUE(SameBits(out.view().Columns(100, 165), want));
  EXPECT_EQ(out.row(3)[99], 0) << "the neighbours of a strided output are left alone";
  EXPECT_EQ(out.row(3)[165], 0);
}

TEST(Linear, TheMemoryPlanIsWhatIsAllocated) {
  Numbers numbers(6);
  Exec ex(1);
  for (const auto& [n, k] :
       {std::pair<int64_t, int64_t>{1, 1}, {64, 512}, {65, 513}, {331, 1100}}) {
    const Tensor weight = RandomTensor({n, k}, numbers);
    const Tensor bias = RandomTensor({n}, numbers);
    EXPECT_EQ(PackLinear(ex, {{.weight = weight, .bias = bias}}).bytes(), PackedLinearBytes(n, k));
  }
}

}  // namespace
}  // namespace binocle
