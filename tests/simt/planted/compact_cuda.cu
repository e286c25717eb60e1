// A library with one fault: this file over a changed copy of the source that it includes.
#include "tests/simt/planted/kernels.h"
// NOLINTNEXTLINE(bugprone-suspicious-include): the source itself is what is changed
#include "core/ops/compact_cuda.cu"

extern "C" __attribute__((visibility("default"))) binocle::PlantedKernels binocle_planted() {
  using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' own
  binocle::PlantedKernels kernels;
  kernels.as_bytes = [](const RowsAsBytesWork& work) { RowsAsBytes(work, nullptr); };
  kernels.multiply = [](const MultiplyBytesWork& work) { MultiplyBytes(work, nullptr); };
  return kernels;
}
