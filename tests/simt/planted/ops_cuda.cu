// A library with one fault: this file over a changed copy of the source that it includes.
#include "tests/simt/planted/kernels.h"
// NOLINTNEXTLINE(bugprone-suspicious-include): the source itself is what is changed
#include "core/ops/rows_cuda.cu"

extern "C" __attribute__((visibility("default"))) binocle::PlantedKernels binocle_planted() {
  using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' own
  binocle::PlantedKernels kernels;
  kernels.norm = [](const NormWork& work, float* out) { Norm(work, out, nullptr); };
  kernels.add = [](const AddWork& work, float* x) { AddRows(work, x, nullptr); };
  kernels.embed = [](const EmbeddingWork& work, const float* table, float* out) {
    EmbeddingRows(work, table, out, nullptr);
  };
  return kernels;
}
