// A library with one fault: this file over a changed copy of the source that it includes.
#include "tests/simt/planted/kernels.h"
// NOLINTNEXTLINE(bugprone-suspicious-include): the source itself is what is changed
#include "attention/device_kv_cuda.cu"

extern "C" __attribute__((visibility("default"))) binocle::PlantedKernels binocle_planted() {
  using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' own
  binocle::PlantedKernels kernels;
  kernels.write_kv = [](const RopeKvWork<binocle::Bf16>& work) { RopeAndWriteKv(work, nullptr); };
  return kernels;
}
