// A library with one fault: this file over a changed copy of the source that it includes.
#include "tests/simt/planted/kernels.h"
// NOLINTNEXTLINE(bugprone-suspicious-include): the source itself is what is changed
#include "llm/sampling_cuda.cu"

extern "C" __attribute__((visibility("default"))) binocle::PlantedKernels binocle_planted() {
  using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' own
  binocle::PlantedKernels kernels;
  kernels.sample = [](const SampleWork& work) { Sample(work, nullptr); };
  return kernels;
}
