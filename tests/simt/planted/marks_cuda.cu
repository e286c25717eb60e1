// A library with one fault: this file over a changed copy of the source that it includes.
#include "tests/simt/planted/kernels.h"
// NOLINTNEXTLINE(bugprone-suspicious-include): the source itself is what is changed
#include "llm/sinks_cuda.cu"

extern "C" __attribute__((visibility("default"))) binocle::PlantedKernels binocle_planted() {
  using namespace binocle::cuda;  // NOLINT(google-build-using-namespace): the kernels' own
  binocle::PlantedKernels kernels;
  kernels.mark = [](const MarkSinksWork& work) { MarkSinks(work, nullptr); };
  kernels.list = [](const ListSinksWork& work) { ListSinks(work, nullptr); };
  return kernels;
}
